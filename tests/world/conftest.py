"""The servers, each started when a test first asks for it and kept for all of them; clients, and a watchdog for these."""
import contextlib
import gc
import io
import itertools
import tempfile
from pathlib import Path

import pytest
from support.watchdog import limited

import qhttp
from world.apache import Apache
from world.certificates import Certificates
from world.dante import Dante
from world.nginx import Nginx
from world.programs import give, make_folder
from world.spnego_origin import SpnegoOrigin, write_user_file
from world.squid import Squid

LIMIT_S = 40                # for one test with what it starts: the first one waits for its servers
PATIENCE_MS = 15_000        # for what has to happen


@pytest.fixture(scope="session")
def world_folder():
    """A folder that the servers' user can reach; pytest's own folders are for their owner only."""
    with tempfile.TemporaryDirectory(prefix="qhttp-world-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        give(folder)
        yield folder


@pytest.fixture(scope="session")
def certificates(world_folder):
    """The certificates of all servers, and contexts of clients: certificates.context(member=None, newest=None)."""
    folder = make_folder(world_folder, "certificates")
    made = Certificates(folder)
    for path in folder.glob("*.pem"):
        give(path)
    return made


@pytest.fixture(scope="session")
def nginx(world_folder, certificates):
    """nginx on http and https."""
    with Nginx(make_folder(world_folder, "nginx"), certificates).run() as server:
        yield server


@pytest.fixture(scope="session")
def apache(world_folder):
    """Apache with Digest."""
    with Apache(make_folder(world_folder, "apache")).run() as server:
        yield server


@pytest.fixture(scope="session")
def squid(world_folder):
    """Squid; its port "login" asks for Basic."""
    with Squid(make_folder(world_folder, "squid"), "basic").run() as server:
        yield server


@pytest.fixture(scope="session")
def digest_squid(world_folder):
    """Squid; its port "login" asks for Digest."""
    with Squid(make_folder(world_folder, "digest_squid"), "digest").run() as server:
        yield server


@pytest.fixture(scope="session")
def dante(world_folder):
    """Dante, open to all."""
    with Dante(make_folder(world_folder, "dante"), with_password=False).run() as server:
        yield server


@pytest.fixture(scope="session")
def login_dante(world_folder):
    """Dante that asks for a password."""
    with Dante(make_folder(world_folder, "login_dante"), with_password=True).run() as server:
        yield server


@pytest.fixture(scope="session")
def spnego_users(world_folder):
    """The users of the NTLM and Negotiate origins, told to pyspnego by the environment."""
    write_user_file(world_folder / "spnego_users")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NTLM_USER_FILE", str(world_folder / "spnego_users"))
        yield


@pytest.fixture
def ntlm_origin(spnego_users):
    """An origin that asks for NTLM."""
    with SpnegoOrigin("NTLM") as server:
        yield server


@pytest.fixture
def negotiate_origin(spnego_users):
    """An origin that asks for Negotiate."""
    with SpnegoOrigin("Negotiate") as server:
        yield server


marks = itertools.count(1)


@pytest.fixture
def mark():
    """A text to put into a path, so that the test finds its own requests in the logs, and no cache knows them."""
    return f"mark-{next(marks)}-"


# ---------------------------------------------------------------------------------------- clients
class Client:
    """A QHttp with what the tests do with it. It trusts the world's authority."""

    def __init__(self, context=None):
        self.http = qhttp.QHttp()
        if context is not None:
            self.http.setSslConfiguration(context)

    def to(self, host: str, port: int):
        """Sends the following requests to this server by http."""
        self.http.setHost(host, port)
        return self

    def to_tls(self, host: str, port: int):
        """Sends the following requests to this server by https."""
        self.http.setHost(host, qhttp.QHttp.ConnectionModeHttps, port)
        return self

    def finish(self):
        """Turns the loop until nothing is left to do. Fails where that does not come."""
        assert self.http.waitForDone(PATIENCE_MS), f"{self.http!r} does not come to an end"

    def get(self, path: str) -> bytes:
        """Gets a path; the body, also that of an error's answer."""
        body = io.BytesIO()
        self.http.get(path, body)
        self.finish()
        return body.getvalue()

    def post(self, path: str, data) -> bytes:
        body = io.BytesIO()
        self.http.post(path, data, body)
        self.finish()
        return body.getvalue()

    def close(self):
        """Closes the connection: only then some servers write their log."""
        self.http.close()
        self.finish()

    @property
    def status(self) -> int:
        return self.http.lastResponse().statusCode()

    @property
    def error(self) -> str:
        return self.http.error().name

    def answers(self, signal_name: str, user: str, password: str) -> list:
        """Answers authenticationRequired or proxyAuthenticationRequired with these credentials; gives the list of all that
        was asked, as it grows: (host, port, realm)."""
        asked = []

        def on_origin(host, port, authenticator):
            asked.append((host, port, authenticator.realm()))
            fill(authenticator)

        def on_proxy(proxy, authenticator):
            asked.append((proxy.hostName(), proxy.port(), authenticator.realm()))
            fill(authenticator)

        def fill(authenticator):
            authenticator.setUser(user)
            authenticator.setPassword(password)

        getattr(self.http, signal_name).connect(on_proxy if signal_name.startswith("proxy") else on_origin)
        return asked


@pytest.fixture
def client():
    """A client for plain http."""
    return Client()


@pytest.fixture
def tls_client(certificates):
    """Makes clients for https: tls_client(), tls_client(member="member"), tls_client(newest=...), or of a context."""
    return lambda context=None, **options: Client(context or certificates.context(**options))


@pytest.fixture(autouse=True)
def watchdog():
    """Raises Hang in a test that takes too long; ends what a failed test has left in the loop."""
    with limited(LIMIT_S):
        yield
    for http in [thing for thing in gc.get_objects() if isinstance(thing, qhttp.QHttp)]:
        with contextlib.suppress(Exception):
            http.abort()
    with contextlib.suppress(Exception):
        qhttp.loop().run(50)

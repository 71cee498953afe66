"""What the TLS tests share: one set of certificates, names without a name server, clients, a watchdog."""
import contextlib
import gc
import socket
import tempfile
from pathlib import Path

import pytest
from support.watchdog import limited
from tls.peers import Acting, Certificates, Client

import qhttp
from qhttp.engine import opening, resolver, tls_context

LIMIT_S = 12


@pytest.fixture(scope="session")
def certificates():
    with tempfile.TemporaryDirectory(prefix="qhttp-tls-") as folder:
        yield Certificates(Path(folder))


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    """Every name and every address is 127.0.0.1; nothing is asked of the system."""
    def look_up(host, port):
        return [(socket.AF_INET, ("127.0.0.1", port))]

    monkeypatch.setattr(resolver, "look_up", look_up)
    known = opening.literal_address
    monkeypatch.setattr(opening, "literal_address", lambda host, port: look_up(host, port) if known(host, port) else None)


@pytest.fixture
def client(certificates):
    """Makes clients: client(server, host="localhost", context=one that trusts the authority)."""
    return lambda server, host="localhost", context=None: Client(server, context or certificates.client(), host)


@pytest.fixture
def default_client(certificates, monkeypatch):
    """Makes clients without a configuration of their own, on a system that trusts the authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority_path))
    monkeypatch.setattr(tls_context, "_default", [])
    return lambda server, host="localhost": Client(server, None, host)


@pytest.fixture
def acting(monkeypatch):
    """Lets something happen in the midst of what OpenSSL does: acting(act). See Acting."""
    wrap = tls_context.TlsConfiguration.wrap
    return lambda act: monkeypatch.setattr(tls_context.TlsConfiguration, "wrap", lambda *given: Acting(wrap(*given), act))


@pytest.fixture(autouse=True)
def watchdog():
    """Raises Hang in a test that takes too long; ends what a failed test has left in the loop."""
    with limited(LIMIT_S):
        yield
    if not qhttp.loop().run(0):
        for http in [thing for thing in gc.get_objects() if isinstance(thing, qhttp.QHttp)]:
            with contextlib.suppress(Exception):
                http.abort()
        with contextlib.suppress(Exception):
            qhttp.loop().run(50)

"""nginx behind ways with faults: one for all tests here, started when the first one asks for it; and a watchdog."""
import contextlib
import gc
import tempfile
from pathlib import Path

import pytest
from faults.fetching import write_files
from support.fault_proxy import FaultyWay
from support.watchdog import limited
from support.way_plans import SeededWay
from world.certificates import Certificates
from world.nginx import Nginx
from world.programs import give, make_folder

import qhttp

LIMIT_S = 20


@pytest.fixture(scope="session")
def nginx():
    """nginx on http and https, with `faults.fetching.FILES` behind each of its locations."""
    with tempfile.TemporaryDirectory(prefix="qhttp-faults-") as name:
        folder = Path(name)
        folder.chmod(0o755)         # its user is not ours
        give(folder)
        made = make_folder(folder, "certificates")
        certificates = Certificates(made)
        for path in made.glob("*.pem"):
            give(path)
        with Nginx(make_folder(folder, "nginx"), certificates).run() as server:
            write_files(server)
            yield server


@pytest.fixture
def way(nginx):
    """Ways to nginx that end with the test: way(plan, plan, ..., port="http", beyond=None)."""
    with contextlib.ExitStack() as ways:
        yield lambda *plans, port="http", beyond=None: ways.enter_context(
            FaultyWay((nginx.host, nginx.port[port]), plans, beyond))


@pytest.fixture
def seeded_way(nginx):
    """The same with drawn plans: seeded_way(seed, port="http", **options of SeededWay)."""
    with contextlib.ExitStack() as ways:
        yield lambda seed, port="http", **options: ways.enter_context(
            SeededWay((nginx.host, nginx.port[port]), seed, **options))


@pytest.fixture(autouse=True)
def watchdog():
    """Raises Hang in a test that takes too long; ends what a failed test has left in the loop."""
    with limited(LIMIT_S):
        yield
    for http in [thing for thing in gc.get_objects() if isinstance(thing, qhttp.QHttp)]:
        with contextlib.suppress(Exception):
            http.abort()



"""Ways with faults to Squid, behind it, and to Apache: what a proxy makes of a broken answer is no file."""
import contextlib
import types

import pytest
from bulk.downloads import Quick, download
from support.fault_proxy import FaultyWay, Plan
from support.way_faults import Corrupt, Cut, HalfClose, Reset, Split, Stall
from support.way_plans import FALSE, HONEST, SeededWay

import qhttp
from world.squid import KNOWN_NAME

SIZE = 4 << 20              # of nginx's "4mib"
MIDDLE = SIZE // 2
ENDS = [Cut, Reset, Stall, HalfClose]
N_SEEDS = 4
HONEST_ERRORS = (qhttp.errors.ConnectError, qhttp.errors.NetworkError, qhttp.errors.TimeoutError, qhttp.errors.UnexpectedClose,
                 qhttp.errors.Truncated, qhttp.errors.HTTPStatusError)      # Squid answers for an origin that is not there


@pytest.fixture
def way():
    """Ways that end with the test: way(host, port, plan, plan, ..., beyond=None)."""
    with contextlib.ExitStack() as ways:
        yield lambda host, port, *plans, beyond=None: ways.enter_context(FaultyWay((host, port), plans, beyond))


@pytest.fixture
def seeded_way():
    with contextlib.ExitStack() as ways:
        yield lambda host, port, seed, **options: ways.enter_context(SeededWay((host, port), seed, **options))


def at(squid):
    """Squid's open port, as the proxy of a fetch."""
    return types.SimpleNamespace(host=squid.host, port=squid.port["open"])


def fetch(url, folder, proxy=None, **settings):
    """One file, tried until it is there: its Transfer, and the errors before."""
    options = {"idle_timeout": 0.3, "retries": 12, "min_speed": (0, 0), "dir": folder, **settings}
    seen = download([url], kind=Quick, proxy=proxy and f"http://{proxy.host}:{proxy.port}", **options)
    transfer, = seen.ended
    return transfer, seen.errors


def url_of(host, port, path, scheme="http"):
    return f"{scheme}://{host}:{port}{path}"


# -- between us and the proxy
@pytest.mark.parametrize("end", ENDS)
def test_way_to_squid_that_breaks_the_file_is_gone_on_with(nginx, squid, way, tmp_path, mark, end):
    faulty = way(squid.host, squid.port["open"], Plan(down=[end(MIDDLE)]))
    transfer, _ = fetch(url_of(KNOWN_NAME, nginx.port["http"], f"/plain/4mib?{mark}"), tmp_path, faulty)
    assert transfer.error is None and transfer.n_resumed > 0 and faulty.struck
    assert open(transfer.path, "rb").read() == nginx.file("4mib").read_bytes()


@pytest.mark.parametrize("fault", [Cut(20), Reset(20), Corrupt(9), Stall(20), Cut(60), Corrupt(MIDDLE), Cut(MIDDLE)], ids=str)
def test_way_to_squid_that_breaks_a_tunnel_is_an_error_or_the_file(nginx, certificates, squid, way, tmp_path, fault):
    """The answer to CONNECT, or what is in the tunnel."""
    faulty = way(squid.host, squid.port["open"], Plan(down=[fault]))
    transfer, errors = fetch(url_of(KNOWN_NAME, nginx.port["https"], "/plain/4mib", "https"), tmp_path, faulty,
                             context=certificates.context(), connect_timeout=1)
    assert faulty.struck and (errors or transfer.error or fault == Corrupt(9))
    if transfer.error is None:
        assert open(transfer.path, "rb").read() == nginx.file("4mib").read_bytes()
    else:
        assert isinstance(transfer.error, qhttp.errors.QHttpError)


# -- between the proxy and the origin
@pytest.mark.parametrize("location", ["plain", "chunked"])
@pytest.mark.parametrize("end", ENDS)
def test_origin_that_breaks_behind_squid_is_no_file(nginx, squid, way, tmp_path, mark, location, end):
    """What Squid tells of a cut answer: it must not become a whole one."""
    faulty = way(nginx.host, nginx.port["http"], Plan(down=[end(MIDDLE)]))
    transfer, errors = fetch(url_of(KNOWN_NAME, faulty.port, f"/{location}/4mib?{mark}"), tmp_path,
                             at(squid))
    assert transfer.error is None and errors and all(isinstance(error, HONEST_ERRORS) for error in errors)
    assert open(transfer.path, "rb").read() == nginx.file("4mib").read_bytes()


def test_origin_that_answers_in_small_pieces_behind_squid_is_right(nginx, squid, way, client):
    faulty = way(nginx.host, nginx.port["http"], beyond=Plan(down=[Split(0, 3000)], up=[Split(0, 400)]))
    client.http.setProxy(squid.host, squid.port["open"])
    client.to(KNOWN_NAME, faulty.port)
    assert client.get("/plain/4mib") == nginx.file("4mib").read_bytes() and client.error == "NoError"


# -- drawn
@pytest.mark.parametrize("seed", range(N_SEEDS))
@pytest.mark.parametrize("where", ["before", "behind"])
def test_drawn_ways_before_and_behind_squid_whole_in_the_end(nginx, squid, seeded_way, tmp_path, mark, seed, where):
    proxy, port = at(squid), nginx.port["http"]
    if where == "before":
        proxy = seeded_way(squid.host, squid.port["open"], seed)
    else:
        port = seeded_way(nginx.host, port, seed).port
    for n in range(3):
        transfer, errors = fetch(url_of(KNOWN_NAME, port, f"/plain/4mib?{mark}{n}"), tmp_path, proxy, name=f"file{n}")
        assert transfer.error is None and all(isinstance(error, HONEST_ERRORS) for error in errors)
        assert open(transfer.path, "rb").read() == nginx.file("4mib").read_bytes()


@pytest.mark.parametrize("seed", range(N_SEEDS))
def test_drawn_ways_with_all_faults_to_squid_tunnel_keeps_bytes(nginx, certificates, squid, seeded_way, tmp_path, seed):
    proxy = seeded_way(squid.host, squid.port["open"], seed, names=HONEST + FALSE)
    transfer, _ = fetch(url_of(KNOWN_NAME, nginx.port["https"], "/plain/4mib", "https"), tmp_path, proxy,
                        context=certificates.context(), connect_timeout=1)
    assert isinstance(transfer.error, (qhttp.errors.QHttpError, type(None)))
    if transfer.error is None:
        assert open(transfer.path, "rb").read() == nginx.file("4mib").read_bytes()


@pytest.mark.parametrize("end", ENDS)
def test_echo_of_apache_over_a_way_that_breaks_is_an_error(apache, way, end):
    """POST is not sent again: an error, and a beginning of what was to come."""
    data = bytes(range(256)) * 4000
    http = qhttp.QHttp("localhost", way(apache.host, apache.port, Plan(down=[end(100_000)])).port)
    http.setTransferTimeout(300)
    http.post("/echo", data)
    assert http.waitForDone(10_000)
    assert http.error().name in ("UnexpectedClose", "WrongContentLength", "UnknownError")
    assert data.startswith(http.readAll())

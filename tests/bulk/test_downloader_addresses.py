"""public_only: the address that is connected to is the one that was looked at, at each hop; nothing goes to any other."""
import pickle
import socket

import pytest
from bulk.downloads import download, files_in
from bulk.origin import Origin, answer, origins, redirect

import qhttp
from qhttp.engine import addresses
from qhttp.engine import resolver as names

PUBLIC = "127.0.0.1"        # is to be one, in these tests: there are no others here


@pytest.fixture
def one_is_public(monkeypatch):
    monkeypatch.setattr(addresses, "is_public", lambda text: text == PUBLIC)


@pytest.fixture
def lookups(monkeypatch):
    """What names lead to: a list of addresses for each look-up, the last one for all that follow."""
    answers = []

    def look_up(host, port):
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, (address, port)) for address in found]

    monkeypatch.setattr(names, "look_up", look_up)
    monkeypatch.setattr(names, "resolver", names.Resolver(ttl_s=0))
    monkeypatch.setattr("qhttp.engine.opening.resolver", names.resolver)
    return answers


def fetch(url, folder, **settings):
    [transfer] = download([url], dir=folder, public_only=True, **settings).ended
    return transfer


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"])
def test_public_only_own_machine_is_refused(host, tmp_path):
    with Origin({"/a": answer(200, b"x")}) as origin:
        transfer = fetch(f"http://{host}:{origin.port}/a", tmp_path)
    assert isinstance(transfer.error, qhttp.AddressError) and transfer.n_retries == 0
    assert origin.log == [] and files_in(tmp_path) == {}


def test_public_only_what_is_public_is_fetched(one_is_public, tmp_path):
    with Origin({"/a": answer(200, b"x")}) as origin:
        assert fetch(origin.url("/a"), tmp_path).error is None
    assert files_in(tmp_path) == {"a": b"x"}


@pytest.mark.parametrize("where", [
    "http://127.0.0.2:{}/b", "//127.0.0.3:{}/b", "http://localhost:{}/b", "http://0.0.0.0:{}/b", "http://[::1]:{}/b",
    "http://[::7f00:1]:{}/b", "http://[::ffff:127.0.0.1]:{}/b",
])
def test_public_only_holds_at_each_redirect(where, one_is_public, lookups, tmp_path):
    lookups.append(["127.0.0.2"])
    with Origin({"/b": answer(200, b"secret")}) as origin:
        origin.answers["/a"] = redirect(where.format(origin.port))
        error = fetch(origin.url("/a"), tmp_path).error
    assert isinstance(error, qhttp.AddressError) and len(origin.log) == 1 and files_in(tmp_path) == {}


def test_public_only_name_that_changes_its_mind_is_looked_at_each_time(one_is_public, lookups, tmp_path):
    lookups += [[PUBLIC], ["127.0.0.2"]]
    with Origin({"/a": answer(200, b"x", ("Connection", "close"))}) as origin:
        first = fetch(f"http://name.test:{origin.port}/a", tmp_path / "1")
        second = fetch(f"http://name.test:{origin.port}/a", tmp_path / "2")
    assert first.error is None and isinstance(second.error, qhttp.AddressError)


def test_public_only_of_several_addresses_the_public_one_is_connected_to(one_is_public, lookups, tmp_path):
    lookups.append(["127.0.0.2", PUBLIC])
    with Origin({"/a": answer(200, b"x")}) as origin:
        assert fetch(f"http://name.test:{origin.port}/a", tmp_path).error is None


def test_public_only_holds_for_mirrors_and_for_a_client(one_is_public, tmp_path):
    with origins({"/a": answer(404, b"")}, {"/a": answer(200, b"secret")}) as (first, second):
        mirror = second.url("/a").replace("127.0.0.1", "127.0.0.2")
        assert fetch({"url": first.url("/a"), "mirrors": [mirror]}, tmp_path).error is not None
        with qhttp.Client(proxy=None, public_only=True) as client, pytest.raises(qhttp.AddressError):
            client.get(mirror)
    assert second.log == []


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "socks5://127.0.0.1:1"])
def test_public_only_through_a_proxy_is_refused(proxy):
    with pytest.raises(ValueError, match="public_only"):
        qhttp.Downloader([], public_only=True, proxy=proxy)


def test_limits_are_a_setting(tmp_path):
    with Origin({"/a": answer(200, b"x", ("A", "b" * 2000))}) as origin:
        [transfer] = download([origin.url("/a")], dir=tmp_path, limits=qhttp.Limits(line_len=1000), retries=0).ended
        assert isinstance(transfer.error, qhttp.ProtocolError) and "limits" in str(transfer.error)
    assert repr(pickle.loads(pickle.dumps(qhttp.Limits(n_fields=9)))) == repr(qhttp.Limits(n_fields=9))    # for workers
    with pytest.raises(TypeError, match="Limits"):
        qhttp.Client(limits=5)

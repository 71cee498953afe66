"""No ports to connect from, no route, no leave, no buffers: who gets none waits for the others, and errors are told by name."""
import errno
import os

import pytest
from bulk.downloads import body, files_in, running
from bulk.origin import Origin, answer
from core.process_tools import in_child
from exhaustion.scarce import Unavailable, apart, private_network

import qhttp

N_FILES = 40
BODIES = {str(n): body(1000, n) for n in range(N_FILES)}
LANES = {"jobs": 64, "per_host": 64}
ANSWERS = {f"/{name}": answer(200, data) for name, data in BODIES.items()}


def in_network(work, n_ports):
    """Calls it in a child whose network is loopback alone, with so many ports to connect from."""
    def run():
        try:
            private_network(40_000, 40_000 + n_ports - 1)
        except (Unavailable, OSError) as error:
            return Unavailable(str(error))
        return work()

    outcome = in_child(run)
    if isinstance(outcome, Unavailable):
        pytest.skip(f"no private network here: {outcome}")
    return outcome


def test_downloader_with_few_ports_gets_all_files_without_a_try_of_its_own(tmp_path):
    """A server takes one of the ports for itself."""
    def work():
        with Origin(ANSWERS) as origin:
            rows = [origin.url(path) for path in ANSWERS]
            with running(rows, dir=tmp_path, retries=0, **LANES) as (downloader, seen):
                downloader.run()
        return seen.kinds, {error.lacks for error in seen.errors}, len(seen.errors)

    kinds, lacks, n_again = in_network(work, 5)
    assert set(kinds.values()) == {None} and files_in(tmp_path) == BODIES
    assert lacks == {"ports"} and n_again < 3 * N_FILES


def test_network_without_a_route_is_an_error_by_name():
    def work():
        with running(["http://192.0.2.1/a", "http://[2001:db8::1]/b"], into="bytes", retries=1) as (downloader, seen):
            downloader.run()
        http = qhttp.QHttp("192.0.2.1")
        http.get("/")
        qhttp.run()
        ended = [(type(transfer.error).__name__, str(transfer.error), transfer.n_retries) for transfer in seen.ended]
        return ended, http.errorString()

    ended, text = in_network(work, 5)
    assert ended == [("NetworkError", "HTTP request failed: Network is unreachable", 1)] * 2
    assert text == "HTTP request failed: Network is unreachable"


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.EADDRNOTAVAIL])
def test_downloader_where_connects_fail_now_and_then_for_want_of_something_gets_all(number, tmp_path, preload):
    with Origin(ANSWERS) as origin:
        ended, again = apart("exhaustion.work:fetch_with", [origin.url(path) for path in ANSWERS],
                             {"dir": str(tmp_path), "retries": 0, **LANES}, preload=preload, QH_CONNECT=f"{number}/2")
    assert set(ended.values()) == {None} and files_in(tmp_path) == BODIES
    assert set(again) == {f"HTTP request failed: {os.strerror(number)}"}


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOBUFS])
def test_downloader_where_every_connect_is_refused_tries_as_often_as_it_may(number, preload):
    """A firewall's EPERM, and a want that does not go away."""
    ended, again = apart("exhaustion.work:fetch_with", ["http://127.0.0.1:1/a"], {"into": "bytes", "retries": 2},
                         preload=preload, QH_CONNECT=str(number))
    text = f"HTTP request failed: {os.strerror(number)}"
    assert list(ended.values()) == [("NetworkError", text)] and again == [text] * 2

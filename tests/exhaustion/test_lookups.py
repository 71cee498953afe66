"""Look-ups that never return, and threads that cannot be started: the others go on, limits hold, and the process ends."""
import time

import pytest
from bulk.downloads import LARGE, LIMIT_S, SMALL, body, files_in, running
from bulk.origin import Origin, answer
from core.process_tools import in_child
from exhaustion.scarce import Unavailable, apart, as_nobody, command

import qhttp
from qhttp.cli import exits

N_STUCK = 20        # more than there are threads for look-ups at a time


@pytest.fixture(scope="module")
def origin():
    with Origin({"/a": answer(200, body(SMALL)), "/large": answer(200, body(LARGE))}) as origin:
        yield origin


def test_downloader_goes_on_beside_look_ups_that_never_return(origin, preload):
    stuck, good = ([f"http://{name}{n}:{origin.port}/a" for n in range(N_STUCK)] for name in ("stuck", "good"))
    ended, _ = apart("exhaustion.work:fetch_by_name", stuck + good, {"into": "bytes", "connect_timeout": 1, "retries": 0},
                     preload=preload)
    assert ended == {**dict.fromkeys(good), **dict.fromkeys(stuck, ("ConnectError", "Connection refused (or timed out)"))}


def test_qhttp_goes_on_beside_look_ups_that_never_return(origin, preload):
    """And abort() ends those."""
    assert apart("exhaustion.work:ask_by_name", origin.port, N_STUCK, preload=preload) == [False, *[True] * N_STUCK]


def test_command_does_not_wait_for_look_ups_at_its_end(origin, tmp_path, preload):
    ran = command(f"http://stuck:{origin.port}/b", f"http://good:{origin.port}/a", "-d", tmp_path, "--no-session",
                  "--connect-timeout", "0.2", "--retries", "0", preload=preload)
    assert ran.status == exits.CONNECT and files_in(tmp_path) == {"a": body(SMALL)}


def test_stop_ends_look_ups_that_never_return(monkeypatch):
    """What nobody waits for any more is not even begun."""
    from qhttp.engine import resolver as module
    begun = []

    def work():
        monkeypatch.setattr(module, "look_up", lambda host, port: begun.append(host) or time.sleep(LIMIT_S))
        with running([f"http://{n}.test/a" for n in range(30)], into="bytes") as (downloader, seen):
            qhttp.loop().call_later(0.05, downloader.stop)
            downloader.run()
            return seen.had_errors, len(list(downloader.left())), len(module.resolver._asking), len(begun)

    had_errors, n_left, n_asking, n_begun = in_child(work)
    assert (had_errors, n_left) == ([True], 30) and n_begun == module.resolver.max_threads
    assert n_asking <= 30


# -- threads
@pytest.mark.parametrize("name", ["good", "127.0.0.1"])
def test_command_without_threads_does_all_in_one(name, origin, tmp_path, preload):
    ran = command(f"http://{name}:{origin.port}/a", f"http://{name}:{origin.port}/large", "-d", tmp_path, "--hash", "sha256",
                  preload=preload, QH_NO_THREADS="1")
    files = {path: data for path, data in files_in(tmp_path).items() if not path.startswith(".")}
    assert (ran.status, files) == (exits.ALL_DONE, {"a": body(SMALL), "large": body(LARGE)}), ran.err


def test_downloader_of_a_user_who_may_have_no_more_tasks_works_in_its_one(origin, tmp_path):
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents[:2]:
        folder.chmod(0o755)

    def work():
        rows, settings = [f"http://localhost:{origin.port}/a", origin.url("/large")], {"dir": tmp_path}
        with running(rows, session=tmp_path / "session", **settings) as (downloader, seen):
            try:
                as_nobody(1)
            except Unavailable as error:
                return error
            downloader.run()
        return seen.kinds

    kinds = in_child(work)
    if isinstance(kinds, Unavailable):
        pytest.skip(str(kinds))
    assert kinds == {"a": None, "large": None}
    assert {name: data for name, data in files_in(tmp_path).items() if not name.startswith("session")} == {
        "a": body(SMALL), "large": body(LARGE)}

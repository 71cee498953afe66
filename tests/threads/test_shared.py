"""What all threads of a process share: modules found once, sessions of TLS, numbers, the members of enumerations."""
import importlib
import ssl
import threading

import pytest
from threads.stress import quick_switches

import qhttp
from qhttp.bulk import coding
from qhttp.engine import tls_context


def in_a_thread(work):
    """What it returns, in a thread of its own."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def test_coding_module_is_not_missing_while_another_thread_imports_it(monkeypatch):
    pytest.importorskip("brotli")
    found, real = [], importlib.import_module

    def import_module(name):
        if not found:
            found.append(None)          # the other thread imports it really
            found[:] = [in_a_thread(coding._brotli_module)]
        return real(name)

    monkeypatch.setattr(coding, "_modules", {})
    monkeypatch.setattr(importlib, "import_module", import_module)
    assert [coding._brotli_module().__name__, found[0] and found[0].__name__] == ["brotli", "brotli"]


class Handshaken:
    """An ssl.SSLObject after its handshake, as far as sessions go."""

    def __init__(self):
        self.session_reused, self.n_asked = False, 0

    @property
    def session(self):
        self.n_asked += 1
        return "the session"


@pytest.fixture
def configuration(monkeypatch):
    """One in a Python where sessions are asked for when they are needed."""
    monkeypatch.setattr(tls_context, "ASKING_LEAKS", True)
    return tls_context.TlsConfiguration(ssl.create_default_context())


def test_tls_session_is_asked_of_a_connection_by_its_own_thread_alone(configuration):
    connection = Handshaken()
    configuration.keep_session("h", 443, connection)
    assert in_a_thread(lambda: configuration._session_for("h", 443)) is None and connection.n_asked == 0
    assert configuration._session_for("h", 443) == "the session"
    assert in_a_thread(lambda: configuration._session_for("h", 443)) == "the session" and connection.n_asked == 1


def test_tls_sessions_kept_by_many_threads_are_bounded(configuration):
    configuration.max_sessions = 4
    failures, n_threads = [], 6
    barrier = threading.Barrier(n_threads)

    def keep(number):
        barrier.wait(10)
        try:
            for n in range(2000):
                configuration.keep_session(f"{number}-{n}", 443, Handshaken())
        except Exception as failure:
            failures.append(failure)

    with quick_switches():
        threads = [threading.Thread(target=keep, args=(number,)) for number in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == [] and len(configuration.sessions) == 4


def test_ids_of_many_threads_at_once_are_unique():
    ids, n_threads = [], 6
    barrier = threading.Barrier(n_threads)

    def take():
        http = qhttp.QHttp("h")
        barrier.wait(10)
        mine = [http.setHost("h") for _ in range(2000)]
        http.abort()
        ids.extend(mine)

    with quick_switches():
        threads = [threading.Thread(target=take) for _ in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(ids)) == len(ids) == n_threads * 2000


def test_signal_is_connected_and_disconnected_by_others_while_it_is_emitted():
    http, calls, is_over = qhttp.QHttp("h"), [], threading.Event()
    http.done.connect(calls.append)

    def touch():
        def slot(error):
            pass
        while not is_over.is_set():
            http.done.connect(slot)
            http.done.disconnect(slot)

    with quick_switches():
        threads = [threading.Thread(target=touch) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(5000):
            http.done.emit(False)
        is_over.set()
        for thread in threads:
            thread.join()
    assert calls == [False] * 5000 and "1 slots" in repr(http.done)

"""Code of the user's that runs in the midst of a body over TLS: handlers of signals, and what the collector calls."""
import gc
import signal
import sys
from itertools import count
from threading import Semaphore, get_ident

import pytest
from support.actions import ReceiveRequest
from support.light_collector import light_collector
from tls.peers import SendRecords, Shake, answer

BODY = bytes(range(256)) * 256
PATIENCE_S = 10
N_MOMENTS, FAR, STEP = 40, 2000, 53         # each of the first calls of the collector, then some
N_SIGNALS, LATER_S = 150, 20e-6


light_collector = pytest.fixture(light_collector)


@pytest.fixture
def sent():
    """One for each answer that the server has sent: its thread makes no objects from then on."""
    return Semaphore(0)


@pytest.fixture
def server(certificates, scripted_server, sent):
    return scripted_server(beyond=[Shake(certificates.server()), ReceiveRequest(), SendRecords(answer(BODY), (4096, 100)),
                                   lambda peer: sent.release()])


def outcome(one, to_begin):
    """What a GET comes to; `to_begin` is called when the head is there."""
    pieces = []
    one.http.responseHeaderReceived.connect(lambda header: to_begin())
    one.http.readyRead.connect(lambda header: pieces.append(one.http.read(100)))
    one.http.get("/")
    error = one.wait()
    return error, len(b"".join(pieces) + one.http.readAll())


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the collector runs between bytecodes alone")
@pytest.mark.parametrize("verb", ["abort", "readAll"])
def test_tls_collector_that_calls_back_at_any_moment_is_sound(server, client, sent, light_collector, verb):
    """Finalizers run wherever an object is made."""
    here, ends = get_ident(), []
    for nth in (*range(1, N_MOMENTS), *range(N_MOMENTS, FAR, STEP)):
        one, calls, read = client(server), count(1), []

        def call(phase, info, one=one, calls=calls, nth=nth, read=read):
            if phase == "start" and get_ident() == here and next(calls) == nth:
                read.append(getattr(one.http, verb)() or b"")

        def begin(call=call):
            assert sent.acquire(timeout=PATIENCE_S)
            gc.callbacks.append(call)
            gc.set_threshold(1, 1, 1)

        error, n = outcome(one, begin)
        gc.set_threshold(0)
        gc.callbacks.remove(call)
        ends.append(error)
        if verb == "readAll":
            assert (error, n + len(b"".join(read))) == ("NoError", len(BODY))
    assert "Aborted" in ends or verb == "readAll"


def test_tls_signal_handler_that_reads_at_any_moment_gives_no_wrong_byte(server, client):
    ends = set()
    for n in range(N_SIGNALS):
        one, pieces = client(server), []
        one.http.responseHeaderReceived.connect(lambda header, n=n: signal.setitimer(signal.ITIMER_REAL, 1e-6 + n * LATER_S))
        before = signal.signal(signal.SIGALRM, lambda *_, one=one, pieces=pieces: pieces.append(one.http.readAll()))
        try:
            one.http.get("/")
            error = one.wait()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        got = b"".join([*pieces, one.http.readAll()])
        assert got == BODY if error == "NoError" else BODY.startswith(got)
        ends.add(error)
    assert "NoError" in ends


def test_tls_signal_handler_that_aborts_at_any_moment_is_sound(server, client):
    ends = set()
    for n in range(N_SIGNALS):
        one = client(server)
        before = signal.signal(signal.SIGALRM, lambda *_, one=one: one.http.abort())
        try:
            ends.add(outcome(one, lambda n=n: signal.setitimer(signal.ITIMER_REAL, 1e-6 + n * LATER_S))[0])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    assert ends == {"NoError", "Aborted"}

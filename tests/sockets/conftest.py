"""What the tests of users' sockets and of unhurried bodies share: clients that record, and an end to tests that hang."""
import signal

import pytest
from engine.recording import Recorded

LIMIT_S = 20


class Hang(Exception):
    """A test took longer than its limit."""


@pytest.fixture(autouse=True)
def watchdog():
    def ring(*_):
        raise Hang("the test hangs")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S, 1)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def client():
    """Makes recorded clients: client(server); client(server, sock) uses that socket."""
    def new(server, *socks):
        recorded = Recorded(server.host, server.port)
        for sock in socks:
            recorded.http.setSocket(sock)
        return recorded
    return new

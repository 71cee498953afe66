"""What the tests of users' sockets and of unhurried bodies share: clients that record, and an end to tests that hang."""

import pytest
from engine.recording import Recorded
from support.watchdog import limited

LIMIT_S = 20


@pytest.fixture(autouse=True)
def watchdog():
    with limited(LIMIT_S):
        yield


@pytest.fixture
def client():
    """Makes recorded clients: client(server); client(server, sock) uses that socket."""
    def new(server, *socks):
        recorded = Recorded(server.host, server.port)
        for sock in socks:
            recorded.http.setSocket(sock)
        return recorded
    return new

"""What the tests of floor 3 share: names without a name server, recorded clients."""
import socket
import threading

import pytest
from engine.recording import Blackhole, Recorded
from support.loops import turn_until

from qhttp.engine import resolver as resolver_module

SHORT_IDLE_S = 0.02


class Names:
    """Stands in for the name server: host -> list of (host, port), or an exception to raise, or a callable."""

    def __init__(self):
        self.table, self.asked, self.gate = {}, [], threading.Event()
        self.gate.set()                 # cleared by a test that wants look-ups to hang

    def look_up(self, host, port):
        self.asked.append(host)
        self.gate.wait(20)
        answer = self.table.get(host, OSError(f"no name {host}"))
        if isinstance(answer, BaseException):
            raise answer
        return [(socket.AF_INET, address) for address in answer]

    def __setitem__(self, host, answer):
        self.table[host] = answer


@pytest.fixture
def names(monkeypatch):
    """The names that the client knows; nothing is asked of the system."""
    table = Names()
    monkeypatch.setattr(resolver_module, "look_up", table.look_up)
    monkeypatch.setattr(resolver_module.resolver, "idle_s", SHORT_IDLE_S)
    resolver_module.resolver._cache.clear()
    yield table
    table.gate.set()
    resolver_module.resolver._cache.clear()
    turn_until(lambda: resolver_module.resolver._n_threads == 0)


@pytest.fixture
def client():
    """Makes recorded clients: client(server)."""
    return lambda server: Recorded(server.host, server.port)


@pytest.fixture
def blackhole():
    with Blackhole() as hole:
        yield hole

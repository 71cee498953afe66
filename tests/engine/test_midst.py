"""Code of the user's that runs in the midst of something else, and what it does there: aborts, asks for more, turns the loop,
or raises. Signals' handlers and finalizers come anywhere; here they come where it matters."""
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from engine.recording import PATIENCE_MS, Recorded
from sockets.objects import Doing, Wrapped, connected
from support import faults
from support.actions import Pause, ReceiveRequest, Send
from support.loops import turn_until

import qhttp
from qhttp import QHttp, wiring
from qhttp._core import holding
from qhttp.engine import tls_context
from qhttp.engine.resolver import Resolver

ROOT = Path(qhttp.__file__).parent.parent
OK = ("NoError", faults.BODY)


class Interrupt(BaseException):
    """As KeyboardInterrupt."""


@pytest.fixture
def within(monkeypatch):
    """within(kind, name, deed): the next call of that method does the deed first."""
    def arm(kind, name, deed):
        real = getattr(kind, name)

        def method(self, *args, **options):
            monkeypatch.setattr(kind, name, real)
            deed()
            return real(self, *args, **options)

        monkeypatch.setattr(kind, name, method)
    return arm


def interrupt():
    raise Interrupt


# -- the server is being set
def test_set_host_interrupted_the_next_request_does_not_go_to_the_server_before(scripted_server, client, within):
    before, after = scripted_server(faults.answer(faults.BODY, b"of the first")), scripted_server(faults.answer())
    recorded = client(before)
    assert recorded.get() == OK
    recorded.http.setUser("user", "password")
    recorded.wait()
    within(wiring.Wiring, "route", interrupt)
    recorded.http.setHost(after.host, after.port)
    recorded.http.post("/login", b"password=1")
    with pytest.raises(Interrupt):
        recorded.wait()
    recorded.http.post("/login", b"password=1")
    assert (recorded.wait(), bytes(recorded.http.readAll())) == OK
    assert len(before.requests[0]) == 1 and len(after.requests[0]) == 1


def test_set_host_interrupted_in_the_first_place_the_next_request_is_done(scripted_server, within):
    server = scripted_server(faults.answer())
    http = QHttp()
    http.setUser("user", "password")
    assert http.waitForDone(PATIENCE_MS)
    within(wiring.Wiring, "route", interrupt)
    http.setHost(server.host, server.port)
    with pytest.raises(Interrupt):
        http.waitForDone(PATIENCE_MS)
    http.get("/")
    assert http.waitForDone(PATIENCE_MS) and bytes(http.readAll()) == faults.BODY


def test_set_host_within_which_another_is_set_the_later_one_holds(scripted_server, client, within):
    first, second, third = (scripted_server(faults.answer(name, name)) for name in (b"1", b"2", b"3"))
    recorded = client(first)
    recorded.http.setUser("user", "password")
    recorded.wait()

    def go_elsewhere():
        recorded.http.abort()
        recorded.http.setHost(third.host, third.port)
        qhttp.run(0)

    within(wiring.Wiring, "route", go_elsewhere)
    recorded.http.setHost(second.host, second.port)
    recorded.wait()
    assert recorded.get() == ("NoError", b"3")


def test_set_host_within_which_a_request_is_begun_that_one_is_not_finished_with_it(scripted_server, client, within):
    server = scripted_server([ReceiveRequest(), Pause(0.05), Send(faults.whole(b"late"))])
    recorded = client(server)
    recorded.http.setUser("user", "password")
    recorded.wait()

    def begin_another():
        recorded.http.abort()
        recorded.http.get("/late")
        qhttp.run(1)

    within(wiring.Wiring, "route", begin_another)
    recorded.http.setHost(server.host, server.port)
    assert recorded.wait() == "NoError" and bytes(recorded.http.readAll()) == b"late"
    assert recorded.states[-1] == "Connected"


# -- a request is being sent
def test_abort_while_the_head_is_composed_leaves_nothing_under_way(scripted_server, client, within):
    recorded = client(scripted_server(faults.answer()))
    recorded.http.setUser("user", "password")
    recorded.wait()

    def abort():
        recorded.http.abort()
        qhttp.run(0)

    within(wiring.Wiring, "credentials", abort)
    recorded.http.get("/")
    recorded.wait()
    assert recorded.http.state().name == "Unconnected" and recorded.finished[-1][1] is True


class Asked(Wrapped):
    """It knows no TLS, and does a deed when it is asked for the n-th time."""

    def __init__(self, sock, nth):
        super().__init__(sock)
        self.left, self.deed = nth, None

    def __getattr__(self, name):
        if name == "cipher" and self.deed is not None:
            self.left -= 1
            if self.left == 0:
                self.deed()
        raise AttributeError(name)


def test_abort_while_a_socket_is_looked_at_before_sending_is_sound(scripted_server):
    server = scripted_server(beyond=faults.answer(faults.BODY, faults.BODY))
    for _ in range(20):
        sock = connected(server, Doing, where="pending", action=lambda: ...)
        http = QHttp(server.host, server.port)
        http.setSocket(sock)
        http.get("/")
        assert http.waitForDone(PATIENCE_MS)
        junk = []

        def act(http=http, junk=junk):
            http.abort()
            junk.extend(bytearray(n) for n in range(1000))      # over what was freed
            return ...

        sock.action = act
        http.get("/")
        assert http.waitForDone(PATIENCE_MS) and http.error().name == "Aborted"
        sock.sock.close()


@pytest.mark.parametrize("nth", range(1, 4))
def test_abort_while_a_socket_is_asked_whether_it_knows_tls_is_no_error_of_our_own(scripted_server, nth):
    server = scripted_server(beyond=faults.answer())
    sock = connected(server, Asked, nth=nth)
    recorded = Recorded(server.host, server.port)
    recorded.http.setSocket(sock)
    sock.deed = recorded.http.abort
    recorded.http.get("/")
    assert recorded.wait() in ("Aborted", "NoError")
    sock.sock.close()


def test_abort_while_tls_is_begun_is_no_error_of_our_own(scripted_server):
    server = scripted_server(beyond=[Pause(30)])

    class Context(ssl.SSLContext):
        def wrap_bio(self, *args, **options):
            http.abort()
            return super().wrap_bio(*args, **options)

    http = QHttp(server.host, QHttp.ConnectionModeHttps, server.port)
    http.setSslConfiguration(Context(ssl.PROTOCOL_TLS_CLIENT))
    http.get("/")
    assert http.waitForDone(PATIENCE_MS) and http.error().name == "Aborted"


# -- something is locked, or made once for all
def test_lock_is_let_go_of_whatever_the_work_raises():
    lock = threading.Lock()
    assert holding(lock, lock.locked) is True
    with pytest.raises(Interrupt):
        holding(lock, interrupt)
    assert not lock.locked()


def test_name_asked_for_while_another_is_asked_for_both_are_told(monkeypatch):
    from qhttp.engine import resolver
    monkeypatch.setattr(resolver, "look_up", lambda host, port: [(socket.AF_INET, (host, port))])
    asked, told = Resolver(), {}

    class Clock:
        """Asks once more, where the time is looked at under the lock."""
        inner = False

        def __call__(self):
            if not self.inner:
                self.inner = True
                asked.lookup(qhttp.loop(), "b", 1, lambda addresses, error: told.update(b=error))
            return time.monotonic()

    monkeypatch.setattr(resolver, "monotonic", Clock())
    asked.lookup(qhttp.loop(), "a", 1, lambda addresses, error: told.update(a=error))
    turn_until(lambda: len(told) == 2)
    assert told == {"a": None, "b": None}


def test_tls_asked_for_while_its_certificates_are_read_is_there(monkeypatch):
    monkeypatch.setattr(tls_context, "_default", [])
    real, inner = tls_context.default_context, []

    def default_context():
        if not inner:
            inner.append(None)
            inner[0] = tls_context.default_configuration()
        return real()

    monkeypatch.setattr(tls_context, "default_context", default_context)
    assert tls_context.default_configuration() is inner[0] is tls_context.default_configuration()


@pytest.mark.parametrize("name", ["resolver", "connect", "opening"])
def test_first_request_interrupted_while_modules_are_imported_the_next_one_is_done(scripted_server, name):
    server = scripted_server(faults.answer())
    program = f"""
        import sys
        import qhttp

        class Finder:
            def find_spec(self, name, path, target=None):
                if name == "qhttp.engine.{name}":
                    sys.meta_path.remove(self)
                    raise KeyboardInterrupt

        http = qhttp.QHttp("{server.host}", {server.port})
        sys.meta_path.insert(0, Finder())
        http.get("/")
        try:
            qhttp.run()
        except KeyboardInterrupt:
            print("interrupted")
        http.get("/")
        qhttp.run()
        print(http.readAll().decode())
    """
    out = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, capture_output=True, timeout=30)
    assert out.stdout.decode().split("\n") == ["interrupted", faults.BODY.decode(), ""], out.stderr.decode()

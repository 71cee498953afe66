"""Code of the user's within a method of a socket that is no socket.socket: it queues requests, or is interrupted."""
import errno

import pytest
from sockets.objects import Doing, NonBlocking, connected
from support import faults
from support.actions import Pause, ReceiveHead, Send


class Dribbling(Doing):
    def send(self, data):
        return super().send(data[:7])


@pytest.mark.parametrize("kind", [Doing, Dribbling])
@pytest.mark.parametrize("where", ["send", "pending"])
def test_request_queued_within_a_method_goes_behind_those_before_it_once(scripted_server, client, kind, where):
    """Where `send` is called with some of them; where `pending` is, before the first of them is sent."""
    paths = ["/first", "/a", "/b", "/c", "/late"]
    server = scripted_server([action for path in paths for action in (ReceiveHead(), Send(faults.whole(path.encode())))])
    late = []

    def act():
        if late:
            late.clear()
            recorded.http.get("/late")
        return ... if where == "send" else 0

    sock = connected(server, kind, where=where, action=act)
    recorded = client(server, sock)
    recorded.http.setPipelining(8)
    assert recorded.get("/first") == ("NoError", b"/first")
    bodies = []
    recorded.http.requestStarted.connect(lambda id: bodies or late.append(id))
    recorded.http.requestFinished.connect(lambda *_: bodies.append(bytes(recorded.http.readAll()).decode()))
    for path in paths[1:4]:
        recorded.http.get(path)
    assert recorded.wait() == "NoError"
    assert bodies == paths[1:]
    lines = [head.partition(b"\r\n")[0].decode() for head in server.connections[0].taken]
    assert lines == [f"GET {path} HTTP/1.1" for path in paths]
    sock.sock.close()


def test_interrupt_while_an_object_is_given_back_raised_once_and_the_answer_whole(scripted_server, client):
    class Interrupt(BaseException):
        """Stands for KeyboardInterrupt, which would end pytest itself where nobody catches it."""

    class Interrupting(NonBlocking):
        def settimeout(self, timeout):
            raise Interrupt

    server = scripted_server([ReceiveHead(), Send(faults.whole(faults.BODY, b"Connection: close")), Pause(5)])
    sock = connected(server, Interrupting)
    recorded = client(server, sock)
    recorded.http.get("/")
    with pytest.raises(Interrupt):
        recorded.wait()
    assert (recorded.wait(), bytes(recorded.http.readAll())) == ("NoError", faults.BODY)
    assert ([error for _, error in recorded.finished], recorded.done) == ([False, False], [False])     # setSocket, and the GET
    assert recorded.states[-1] == "Unconnected"
    sock.sock.close()


@pytest.mark.parametrize("n_good", range(1, 7))
def test_send_that_fails_once_nothing_goes_behind_the_gap(scripted_server, client, n_good):
    """What came behind would pass for what is missing: its answer would be another's."""
    class FailingOnce(NonBlocking):
        def send(self, data):
            calls.append(len(data))
            if len(calls) == n_good + 1:
                raise OSError(errno.ENOBUFS, "no room")
            return super().send(data)

    def answer(peer):
        head = ReceiveHead()
        while True:
            head(peer)
            Send(faults.whole(peer.taken[-1].split(b" ", 2)[1]))(peer)

    calls, bodies, paths = [], {}, [f"/{n}" for n in range(9)]
    server = scripted_server([answer])
    sock = connected(server, FailingOnce)
    recorded = client(server, sock)
    recorded.http.setPipelining(3)

    def finish(_, error):
        if not error:
            bodies[recorded.http.currentRequest().path()] = bytes(recorded.http.readAll()).decode()

    recorded.http.requestFinished.connect(finish)
    for path in paths:
        recorded.http.get(path)
    recorded.wait()
    bodies.pop("", None)        # setSocket
    assert bodies and all(path == body for path, body in bodies.items())
    assert len(bodies) == len(paths) or len(calls) == n_good + 1
    sock.sock.close()

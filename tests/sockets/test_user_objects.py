"""setSocket with an object of the user's own: its methods may block, dribble, fail, lie, turn the loop and end everything."""
import errno
import gc
import os
import select
import socket
import time

import pytest
from core.process_tools import in_child
from engine.recording import Recorded, noise
from sockets.objects import Buffered, Bytewise, Doing, NonBlocking, Wrapped, connected
from support import faults
from support.actions import Close, Pause, ReceiveHead, ReceiveRequest, Send
from support.loops import turn_for, turn_until

import qhttp

OK = ("NoError", faults.BODY)
KINDS = [Wrapped, NonBlocking, Bytewise, Buffered]


def close(thing):
    thing.sock.close()


def await_readable(thing):
    select.select([thing], [], [], 5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("script", [faults.answer, faults.answer_bytewise, faults.answer_until_close,
                                    lambda: [ReceiveRequest(), Send(faults.chunked(faults.BODY[:9], faults.BODY[9:]))]])
def test_object_gives_the_whole_body(scripted_server, client, kind, script):
    server = scripted_server(script())
    sock = connected(server, kind)
    recorded = client(server, sock)
    assert recorded.get() == OK
    assert recorded.states[:2] == ["Sending", "Reading"]
    close(sock)


def test_object_that_gave_all_at_once_interim_answer_final_one_found(scripted_server, client):
    """What it gave is more than a head may take at a time, and nothing more comes that would call it."""
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: " + b"x" * 30_000 + b"\r\nB: " + b"x" * 30_000 + b"\r\n\r\nok"
    server = scripted_server([ReceiveRequest(), Send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + final), Pause(5)])
    sock = connected(server, Buffered)
    recorded = client(server, sock)
    recorded.http.setTransferTimeout(2000)
    assert recorded.get() == ("NoError", b"ok")
    close(sock)


@pytest.mark.parametrize("kind", KINDS)
def test_object_is_kept_for_the_next_request(scripted_server, client, kind):
    server = scripted_server(faults.answer(faults.BODY, faults.BODY, faults.BODY))
    sock = connected(server, kind)
    recorded = client(server, sock)
    recorded.http.get("/1")
    recorded.http.get("/2")
    assert recorded.wait() == "NoError"
    assert recorded.get() == OK
    assert recorded.states == ["Sending", "Reading", "Connected"] * 3
    close(sock)


@pytest.mark.parametrize("kind", [Wrapped, NonBlocking, Buffered])
def test_large_bodies_go_both_ways(scripted_server, client, kind):
    n = 300_000 if kind is Buffered else 4 << 20
    server = scripted_server([ReceiveRequest(), Send(faults.whole(noise(n, 2)))])
    sock = connected(server, kind)
    recorded = client(server, sock)
    recorded.http.post("/", noise(4 << 20))
    assert recorded.wait() == "NoError"
    assert recorded.http.readAll() == noise(n, 2)
    assert server.connections[0].taken[0].endswith(noise(4 << 20))
    assert recorded.send_progress[-1] == (len(server.connections[0].taken[0]),) * 2
    close(sock)


@pytest.mark.parametrize("kind", KINDS)
def test_read_buffer_size_holds_the_server_back(scripted_server, client, kind):
    server = scripted_server([ReceiveRequest(), Send(faults.whole(noise(120_000)))])
    sock = connected(server, kind)
    recorded = client(server, sock)
    recorded.http.setReadBufferSize(999)
    recorded.http.get("/")
    turn_until(lambda: recorded.http.bytesAvailable() >= 999)
    turn_for(0.05)
    assert recorded.http.bytesAvailable() <= 999 + (64 << 10)        # what came with the head is there in any case
    data = bytearray()
    while len(data) < 120_000:
        turn_until(recorded.http.bytesAvailable)
        data += recorded.http.read(5000)
    assert data == noise(120_000) and recorded.wait() == "NoError"
    close(sock)


@pytest.mark.parametrize("kind", KINDS)
def test_pipelining_goes_over_it(scripted_server, client, kind):
    answers = b"".join(map(faults.whole, (b"1", b"22", b"333"))) + faults.chunked(b"4", b"44")
    server = scripted_server([*faults.answer(), *[ReceiveHead()] * 4, Send(answers)])
    sock = connected(server, kind)
    recorded = client(server, sock)
    recorded.http.setPipelining(4)
    assert recorded.get() == OK         # now the server is known to keep its connections
    bodies = []
    recorded.http.requestFinished.connect(lambda *_: bodies.append(bytes(recorded.http.readAll())))
    for path in "/1", "/2", "/3", "/4":
        recorded.http.get(path)
    assert recorded.wait() == "NoError"
    assert [body for body in bodies if body] == [b"1", b"22", b"333", b"444"]
    close(sock)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("waits", [True, False])
def test_surplus_bytes_never_reach_the_next_request(scripted_server, client, kind, waits):
    server = scripted_server([*faults.surplus_bytes(), ReceiveRequest()])
    sock = connected(server, kind)
    recorded = client(server, sock)
    assert recorded.get() == OK
    if waits:
        turn_until(lambda: recorded.http.state() == recorded.http.Unconnected)
    assert recorded.get() == ("UnknownError", b"")
    assert "has ended" in recorded.http.errorString()
    close(sock)


@pytest.mark.parametrize("kind", KINDS)
def test_surplus_that_was_not_read_yet_never_reaches_a_request_that_waits(scripted_server, client, kind):
    """One that gives a piece at a time, as ssl gives a record, has the rest still when the first answer is whole."""
    server = scripted_server([*faults.surplus_bytes(), ReceiveRequest()])
    sock = connected(server, kind)
    recorded, ends = client(server, sock), []
    recorded.http.requestFinished.connect(lambda number, error: ends.append((error, bytes(recorded.http.readAll()))))
    recorded.http.get("/1")
    recorded.http.get("/2")
    turn_until(lambda: ends and ends[-1][0])        # not wait(): that is over when its time is up
    assert recorded.wait(0) == "UnknownError"
    assert ends[-2:] == [(False, faults.BODY), (True, b"")]
    close(sock)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("script, error", [
    (faults.no_answer, "UnexpectedClose"), (faults.cut_head, "UnexpectedClose"), (faults.cut_body, "WrongContentLength"),
    (faults.reset_mid_body, "WrongContentLength"), (faults.cut_chunks, "WrongContentLength"),
    (faults.reset_until_close, "UnexpectedClose"), (faults.bad_head, "InvalidResponseHeader"),
    (faults.bad_chunk, "WrongContentLength")])
def test_faults_are_told(scripted_server, client, kind, script, error):
    server = scripted_server(script())
    sock = connected(server, kind)
    recorded = client(server, sock)
    recorded.http.post("/", b"")
    assert recorded.wait() == error
    close(sock)


def test_transfer_timeout_ends_a_stall(scripted_server, client):
    server = scripted_server(faults.stall())
    sock = connected(server, NonBlocking)
    recorded = client(server, sock)
    recorded.http.setTransferTimeout(100)
    assert recorded.get()[0] == "UnknownError"
    close(sock)


def test_object_that_blocks_does_not_stop_the_loop_while_the_server_does_not_read(scripted_server, client):
    server = scripted_server([ReceiveHead(), Pause(30)])
    sock = connected(server, Wrapped)
    recorded = client(server, sock)
    recorded.http.post("/", bytes(32 << 20))
    began = time.monotonic()
    turn_for(0.3)
    assert time.monotonic() - began < 2
    recorded.http.abort()
    close(sock)


def test_early_answer_is_read_where_sending_fails(scripted_server, client):
    """The answer came, and then the connection ended under the upload."""
    early = faults.whole(b"too large", status=b"HTTP/1.1 413 Too Large\r\n")
    for kind in (Wrapped, NonBlocking):
        server = scripted_server([ReceiveHead(), Send(early), Pause(5)])

        class Failing(kind):
            def send(self, data):
                if not self.n_sent:
                    return super().send(data)
                await_readable(self)
                raise BrokenPipeError(errno.EPIPE, "broken")

        sock = connected(server, Failing)
        recorded = client(server, sock)
        recorded.http.post("/", bytes(1 << 20))
        assert recorded.wait() == "NoError"
        assert (recorded.http.readAll(), recorded.statuses) == (b"too large", [413])
        close(sock)


def test_send_error_while_the_body_comes_body_read_on(scripted_server, client):
    body = noise(100_000)
    server = scripted_server([ReceiveHead(), Send(faults.whole(body), (50_000,), 0.2), Pause(5)])
    recorded = Recorded(server.host, server.port)

    def fail():
        if recorded.statuses:
            raise OSError(errno.EPIPE, "broken")
        return ...

    sock = connected(server, Doing, where="send", action=fail)
    recorded.http.setSocket(sock)
    recorded.http.post("/", bytes(32 << 20))
    assert recorded.wait() == "NoError"
    assert recorded.http.readAll() == body
    close(sock)


# -- what it may do instead
@pytest.mark.parametrize("where", ["recv_into", "send"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "io"), RuntimeError("own"), ValueError("x"), OSError("no number"),
                                   type("Odd", (Exception,), {"errno": "text"})(), TimeoutError("t")], ids=repr)
def test_method_that_raises_ends_the_request_with_an_error(scripted_server, client, where, error):
    def fail():
        raise error

    server = scripted_server(faults.answer())
    sock = connected(server, Doing, where=where, action=fail)
    recorded = client(server, sock)
    recorded.http.post("/", b"")
    assert recorded.wait() == "UnexpectedClose"
    close(sock)


@pytest.mark.parametrize("where, error", [("recv_into", KeyboardInterrupt), ("send", KeyboardInterrupt),
                                          ("fileno", SystemExit)])
def test_method_that_is_interrupted_raises_out_of_the_loop(scripted_server, client, where, error):
    def stop():
        raise error

    server = scripted_server(faults.answer())
    sock = connected(server, Doing, where=where, action=stop)
    recorded = client(server, sock)
    recorded.http.get("/")
    with pytest.raises(error):
        recorded.wait()
    assert recorded.wait() == "UnknownError"
    close(sock)


@pytest.mark.parametrize("where", ["recv_into", "send"])
@pytest.mark.parametrize("value", ["text", -1, 1 << 40, 1.5, b"", object()], ids=repr)
def test_method_that_gives_nonsense_ends_the_request_with_an_error(scripted_server, client, where, value):
    server = scripted_server(faults.answer())
    sock = connected(server, Doing, where=where, action=lambda: value)
    recorded = client(server, sock)
    recorded.http.post("/", b"")
    assert recorded.wait() == "UnexpectedClose"
    close(sock)


@pytest.mark.parametrize("value", ["text", None, -1, 1 << 40, 1.5], ids=repr)
def test_fileno_that_gives_nonsense_is_an_error(scripted_server, client, value):
    server = scripted_server(faults.answer())
    sock = connected(server, Doing, where="fileno", action=lambda: value)
    recorded = client(server, sock)
    assert recorded.get()[0] == "UnknownError"
    assert "setSocket" in recorded.http.errorString()
    close(sock)


def test_fileno_of_a_file_is_an_error(scripted_server, client, tmp_path):
    server = scripted_server(faults.answer())
    with open(tmp_path / "file", "wb") as file:
        sock = connected(server, Doing, where="fileno", action=file.fileno)
        assert client(server, sock).get()[0] == "UnknownError"
        close(sock)


def test_recv_into_that_gives_none_or_would_block_is_asked_again(scripted_server, client):
    server = scripted_server(faults.answer())
    answers = [None, BlockingIOError(), InterruptedError()] * 3

    def later():
        if not answers:
            return ...
        answer = answers.pop()
        if answer is None:
            return None
        raise answer

    sock = connected(server, Doing, where="recv_into", action=later)
    assert client(server, sock).get() == OK
    close(sock)


@pytest.mark.parametrize("where", ["recv_into", "send"])
def test_method_that_turns_the_loop_works(scripted_server, client, where):
    server = scripted_server(faults.answer(faults.BODY, faults.BODY))

    def turn():
        qhttp.loop().run(5)
        return ...

    sock = connected(server, Doing, where=where, action=turn)
    recorded = client(server, sock)
    assert [recorded.get(), recorded.get()] == [OK, OK]
    close(sock)


@pytest.mark.parametrize("where", ["recv_into", "send", "fileno"])
@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize("verb", ["abort", "close", "deleteLater", "clearPendingRequests"])
def test_method_that_ends_everything_is_sound(scripted_server, client, where, verb, turns):
    server = scripted_server(faults.answer())

    def end():
        getattr(recorded.http, verb)()
        if turns:
            qhttp.loop().run(5)
        return ...

    sock = connected(server, Doing, where=where, action=end)
    recorded = client(server, sock)
    recorded.http.get("/")
    recorded.http.waitForDone(5000)
    if verb == "abort":
        assert recorded.http.error().name == "Aborted"
    elif verb == "deleteLater":         # it comes with the next turn, the answer may come first
        assert recorded.http.error().name in ("Aborted", "NoError")
    else:
        assert recorded.http.error().name == "NoError"
    assert not recorded.http.hasPendingRequests()
    close(sock)


def test_pending_that_ends_everything_is_sound(scripted_server, client):
    server = scripted_server(faults.answer(), faults.answer())

    def end():
        recorded.http.abort()
        return 1

    sock = connected(server, Doing, where="pending", action=end)
    recorded = client(server, sock)
    recorded.http.get("/")
    recorded.http.waitForDone(5000)
    assert recorded.http.error().name == "Aborted"
    turn_until(lambda: recorded.http.state() == recorded.http.Unconnected)
    qhttp.loop().dispatch()
    assert select.select([qhttp.loop().fileno()], [], [], 0)[0] == []      # nothing is left to do
    assert client(server).get() == OK
    close(sock)


def test_pending_that_raises_is_the_end_of_the_connection(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Send(faults.whole()[:-1]), Pause(5)])
    sock = connected(server, Doing, where="pending", action=lambda: 1 // 0)
    assert client(server, sock).get()[0] == "WrongContentLength"
    close(sock)


def test_child_that_drops_the_object_leaves_it_to_the_parent_as_it_is(scripted_server, client):
    server = scripted_server(faults.answer())
    sock = connected(server, NonBlocking)
    recorded = client(server, sock)
    assert recorded.get() == OK and not os.get_blocking(sock.fileno())

    def drop():
        del recorded.http
        gc.collect()

    in_child(drop)
    assert not os.get_blocking(sock.fileno())
    close(sock)


def test_method_that_sets_another_socket_is_sound(scripted_server, client):
    server = scripted_server(faults.answer(), faults.answer())

    def change():
        if not changed:
            changed.append(recorded.http.setSocket(None))
            recorded.http.get("/2")
        return ...

    changed = []
    sock = connected(server, Doing, where="recv_into", action=change)
    recorded = client(server, sock)
    recorded.http.get("/1")
    assert recorded.wait() == "NoError"
    assert len(server.connections) == 2
    close(sock)


def test_recv_into_that_grows_or_keeps_its_room_is_refused_or_harmless(scripted_server, client):
    kept = []

    class Keeping(NonBlocking):
        def recv_into(self, room):
            kept.append(room)
            n = super().recv_into(room)
            return n

    server = scripted_server(faults.answer(faults.BODY, faults.BODY))
    sock = connected(server, Keeping)
    recorded = client(server, sock)
    assert recorded.get() == OK
    for room in kept:
        room[:] = bytes(len(room))
    assert recorded.get() == OK
    close(sock)


def test_https_over_an_object_is_refused_and_nothing_sent(scripted_server):
    server = scripted_server([Close()])
    sock = connected(server)
    recorded = Recorded(server.host, server.port)
    recorded.http.setSocket(sock)
    recorded.http.setHost(server.host, qhttp.QHttp.ConnectionModeHttps, server.port)
    assert recorded.get("/secret")[0] == "UnknownError"
    assert "in the clear" in recorded.http.errorString()
    assert sock.n_sent == 0
    close(sock)


def test_object_stays_open_and_its_timeout_as_before(scripted_server, client):
    for timeout in (None, 2.5, 0):
        server = scripted_server([*faults.answer(), ReceiveRequest(), Send(b"by hand")])
        sock = connected(server, NonBlocking)
        sock.settimeout(timeout)
        recorded = client(server, sock)
        assert recorded.get() == OK
        del recorded
        gc.collect()
        assert sock.gettimeout() == timeout
        sock.settimeout(5)
        sock.send(b"GET / HTTP/1.1\r\n\r\n")
        assert sock.sock.recv(100) == b"by hand"
        close(sock)


def test_object_closed_by_its_owner_meanwhile_is_an_error(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Pause(0.1), Send(faults.whole())])
    sock = connected(server)
    recorded = client(server, sock)
    recorded.http.get("/")
    turn_until(lambda: server.connections and server.connections[0].taken)
    sock.sock.shutdown(socket.SHUT_RDWR)
    sock.sock.close()
    assert recorded.wait() != "NoError"

"""The scripted server plays its scripts, remembers what it saw, and leaves nothing behind."""
import socket
import threading

import pytest

from support import faults
from support.actions import (
    Close,
    CloseAtOnce,
    Drain,
    HalfClose,
    Pause,
    Receive,
    ReceiveAnything,
    ReceiveBody,
    ReceiveHead,
    ReceiveRequest,
    Repeat,
    Reset,
    Send,
    SendNumbered,
)
from support.scripted_server import LOWEST_PORT

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"


def ask(server, request=GET):
    """What comes back until the server closes its side."""
    with socket.create_connection((server.host, server.port), 5) as sock:
        sock.sendall(request)
        answer = b""
        while data := sock.recv(1 << 16):
            answer += data
        return answer


def test_server_two_scripts_played_in_order_of_connections(scripted_server):
    server = scripted_server([ReceiveRequest(), Send(b"one"), Close()], [ReceiveRequest(), Send(b"two"), Close()])
    assert [ask(server), ask(server)] == [b"one", b"two"]
    assert server.requests == [[GET], [GET]]


def test_server_connection_beyond_scripts_closed_at_once(scripted_server):
    assert ask(scripted_server(), b"") == b""


def test_server_beyond_script_played_for_each_further_connection(scripted_server):
    server = scripted_server(beyond=[ReceiveRequest(), Send(b"again"), Close()])
    assert [ask(server), ask(server)] == [b"again", b"again"]


def test_server_port_has_five_digits(scripted_server):
    assert scripted_server().port >= LOWEST_PORT


def test_server_closed_during_pause_ends_its_threads(scripted_server):
    server = scripted_server([Pause(60)])
    with socket.create_connection((server.host, server.port)):
        server.wait_for(lambda: server.connections)
        server.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "connection-0" and thread.is_alive()]
    assert server.connections[0].how_ended == "server closed"


def test_server_wait_for_what_never_happens_raises_timeout(scripted_server):
    with pytest.raises(TimeoutError):
        scripted_server().wait_for(lambda: False, 0.01)


def test_receive_request_takes_head_and_announced_body_only(scripted_server):
    server = scripted_server([ReceiveRequest(), Close()])
    ask(server, POST + b"more")
    server.wait_for(lambda: server.connections[0].how_ended)
    assert server.requests == [[POST]]


def test_receive_head_leaves_body_in_rest(scripted_server):
    server = scripted_server([ReceiveHead(), HalfClose()])
    ask(server, POST)
    server.wait_for(lambda: server.connections[0].how_ended)
    assert (server.requests, server.connections[0].rest) == ([[POST[:-4]]], b"body")


@pytest.mark.parametrize("body", [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"])
def test_receive_body_whole_body_read_and_forgotten(scripted_server, body):
    server = scripted_server([ReceiveHead(), ReceiveBody(), Send(b"ok"), Close()])
    assert ask(server, b"POST / HTTP/1.1\r\n" + body) == b"ok"
    assert server.connections[0].rest == b""


def test_receive_bytes_and_anything_taken_as_asked(scripted_server):
    server = scripted_server([Receive(3), ReceiveAnything(), HalfClose()])
    ask(server)
    assert [len(piece) for piece in server.requests[0]] == [3, len(GET) - 3]


def test_repeat_many_units_sent_exactly(scripted_server):
    server = scripted_server([Repeat(b"0123456789", 30_001), Close()])
    assert ask(server, b"") == b"0123456789" * 30_001
    assert server.connections[0].n_sent == 300_010


def test_numbered_template_counts_up(scripted_server):
    assert ask(scripted_server([SendNumbered("{n},", 4), Close()]), b"") == b"0,1,2,3,"


def test_send_cut_into_pieces_sends_all_bytes(scripted_server):
    assert ask(scripted_server([Send(b"abcdef", cuts=(0, 2, 3, 99)), Close()]), b"") == b"abcdef"


def test_reset_seen_by_client_as_reset(scripted_server):
    with pytest.raises(ConnectionResetError):
        ask(scripted_server([ReceiveRequest(), Reset()]))


def test_close_at_once_with_unread_request_resets(scripted_server):
    server = scripted_server([Receive(1), CloseAtOnce()])
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        ask(server, b"x" * (1 << 22))


def test_drain_client_leaves_script_ends(scripted_server):
    server = scripted_server([HalfClose(), Drain(60)])
    ask(server)
    server.wait_for(lambda: server.connections[0].how_ended)
    assert server.connections[0].how_ended == "client closed"


def test_journal_tells_what_went_over_in_order(scripted_server):
    server = scripted_server([ReceiveRequest(), Send(b"ok"), Close()])
    ask(server)
    server.wait_for(lambda: server.connections[0].how_ended)
    assert server.connections[0].journal == [("took", GET), ("sent", b"ok"), ("ended", b"fin")]


def test_closed_port_refuses(closed_port):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((closed_port.host, closed_port.port), 5)


@pytest.mark.parametrize("fault", [faults.answer_until_close, faults.cut_head, faults.cut_body, faults.cut_chunks,
                                   faults.bad_head, faults.bad_chunk, faults.two_lengths, faults.claimed_length])
def test_fault_that_closes_sends_what_its_script_says(scripted_server, fault):
    script = fault()
    assert ask(scripted_server(script)) == next(action.data for action in script if isinstance(action, Send))


@pytest.mark.parametrize("fault", [faults.reset_mid_body, faults.reset_until_close])
def test_fault_that_resets_ends_with_reset(scripted_server, fault):
    with pytest.raises(ConnectionResetError):
        ask(scripted_server(fault()))

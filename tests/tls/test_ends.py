"""Ends that are none: streams without close_notify, broken records, handshakes that come to nothing, servers without TLS."""
import ssl

import pytest
from support.actions import Close, CloseAtOnce, Drain, Drip, HalfClose, Pause, ReceiveRequest, Repeat, Reset, Send
from support.loops import turn_until
from tls.peers import (
    TLS_1_2,
    TLS_1_3,
    Gate,
    Passed,
    Shake,
    Tampered,
    Wire,
    answer,
    answers,
    broken,
    close_notify,
    halved,
    head,
    joined,
    start_good_bye,
    whole,
)

import qhttp

versions = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])
ENDS = {"fin": Close(), "at_once": CloseAtOnce(), "reset": Reset(), "close_notify": close_notify}
UNTIL_CLOSE, LENGTH, CHUNKED = head(), head(b"Content-Length: 9"), head(b"Transfer-Encoding: chunked")


def get(client, server, ignoring=False):
    one = client(server)
    if ignoring:
        one.ignores()
    return one.get("/")


@pytest.fixture
def serve(certificates, scripted_server):
    """serve(bytes, end, certificate="good", version=None): a server that answers so on each connection."""
    def run(data, end, certificate="good", version=None):
        return scripted_server(beyond=[Shake(certificates.server(certificate, version)), ReceiveRequest(), Send(data), end])
    return run


# -- bodies until the end of the stream
@versions
@pytest.mark.parametrize("end, error", [("fin", "UnexpectedClose"), ("reset", "UnexpectedClose"), ("close_notify", "NoError")])
def test_tls_body_until_close_of_verified_server_needs_close_notify(serve, client, version, end, error):
    server = serve(UNTIL_CLOSE + b"some", ENDS[end], version=version)
    assert get(client, server)[0] == error


@versions
@pytest.mark.parametrize("end", ["fin", "close_notify"])
def test_tls_body_until_close_of_ignored_server_any_end_accepted(serve, client, version, end):
    server = serve(UNTIL_CLOSE + b"some", ENDS[end], "expired", version)
    assert get(client, server, ignoring=True) == ("NoError", b"some")


def test_tls_body_until_close_of_ignored_server_reset_error(serve, client):
    server = serve(UNTIL_CLOSE + b"some", ENDS["reset"], "expired")
    assert get(client, server, ignoring=True)[0] == "UnexpectedClose"


@pytest.mark.parametrize("certificate, end, error", [
    ("good", "fin", "UnexpectedClose"), ("good", "close_notify", "NoError"), ("expired", "fin", "NoError")])
def test_tls_body_until_close_that_lies_there_with_its_end_same_verdict(
        certificates, scripted_server, client, certificate, end, error):
    """The records and the FIN come to the loop together."""
    sent = Passed()

    def last(peer):
        if end == "close_notify":
            start_good_bye(peer)
        else:
            peer.half_close()

    server = scripted_server(beyond=[Shake(certificates.server(certificate)), ReceiveRequest(), Send(UNTIL_CLOSE),
                                     Repeat(b"x", 100_000), last, sent, Drain(5)])
    one = client(server).ignores()
    one.http.stateChanged.connect(lambda state: state == one.http.Reading and sent.wait())
    one.http.get("/")
    result = one.wait()
    assert (result, len(one.http.readAll())) == (error, 100_000)


@pytest.mark.parametrize("end, error", [("fin", "UnexpectedClose"), ("close_notify", "NoError")])
def test_tls_body_until_close_of_context_without_verification_needs_close_notify(serve, certificates, client, end, error):
    context = certificates.client()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    server = serve(UNTIL_CLOSE + b"some", ENDS[end], "expired")
    one = client(server, context=context).asks()
    assert (one.get()[0], one.errors) == (error, [])


def test_tls_body_until_close_of_optional_verification_needs_close_notify(serve, certificates, client):
    """ssl.CERT_OPTIONAL is CERT_REQUIRED for a client."""
    context = certificates.client()
    context.verify_mode = ssl.CERT_OPTIONAL
    assert client(serve(UNTIL_CLOSE + b"some", ENDS["fin"]), context=context).get()[0] == "UnexpectedClose"


def test_tls_head_without_body_and_no_close_notify_error(serve, client):
    assert get(client, serve(UNTIL_CLOSE, ENDS["fin"])) == ("UnexpectedClose", b"")


# -- bodies with an end of their own
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("data", [
    LENGTH + b"some", CHUNKED + b"4\r\nsome\r\n", CHUNKED + b"4\r\nso", CHUNKED + b"4\r\nsome\r\n0\r\n",
], ids=["length", "chunks", "chunk", "last_chunk"])
@pytest.mark.parametrize("certificate", ["good", "expired"])
def test_tls_body_cut_wrong_content_length(serve, client, data, end, certificate):
    assert get(client, serve(data, ENDS[end], certificate), ignoring=True)[0] == "WrongContentLength"


@pytest.mark.parametrize("end", ENDS)
def test_tls_head_cut_unexpected_close(serve, client, end):
    assert get(client, serve(b"HTTP/1.1 200 OK\r\nContent-Le", ENDS[end])) == ("UnexpectedClose", b"")


@pytest.mark.parametrize("end", ENDS)
def test_tls_no_answer_tried_three_times_unexpected_close(serve, client, end):
    server = serve(b"", ENDS[end])
    assert get(client, server) == ("UnexpectedClose", b"")
    assert len(server.connections) == 3


@pytest.mark.parametrize("end", ["fin", "reset", "close_notify"])
@pytest.mark.parametrize("data", [LENGTH + b"whole one", CHUNKED + b"9\r\nwhole one\r\n0\r\n\r\n"], ids=["length", "chunked"])
def test_tls_whole_body_any_end_accepted(serve, client, data, end):
    assert get(client, serve(data, ENDS[end])) == ("NoError", b"whole one")


# -- records that were changed or cut on the way
@versions
@pytest.mark.parametrize("step", [broken, halved])
@pytest.mark.parametrize("certificate", ["good", "expired"])
@pytest.mark.parametrize("start, error", [(LENGTH, "WrongContentLength"), (CHUNKED + b"9\r\n", "WrongContentLength"),
                                          (UNTIL_CLOSE, "UnexpectedClose")], ids=["length", "chunked", "until_close"])
def test_tls_record_broken_or_cut_no_byte_of_it_told(
        certificates, scripted_server, client, version, step, certificate, start, error):
    if step is halved and certificate == "expired" and start == UNTIL_CLOSE:
        error = "NoError"               # the end of the stream, as it comes
    context = certificates.server(certificate, version)
    server = scripted_server(beyond=[Tampered(context, (whole(start + b"so"), step(b"me"))), Close()])
    one = client(server).ignores()
    assert one.get() == (error, b"so")


def test_tls_record_broken_in_the_head_unexpected_close(certificates, scripted_server, client):
    server = scripted_server(beyond=[Tampered(certificates.server(), (broken(answer()),)), Close()])
    assert get(client, server) == ("UnexpectedClose", b"")


@pytest.mark.parametrize("junk", [
    b"plain text in between", b"\x17\x03\x03\xff\xff" + bytes(70000), b"\x15\x03\x03\x00\x02\x02\x50",
], ids=["text", "record_too_long", "plain_alert"])
def test_tls_junk_between_records_error(certificates, scripted_server, client, junk):
    steps = whole(LENGTH + b"so"), lambda wire: junk
    server = scripted_server(beyond=[Tampered(certificates.server(), steps), Close()])
    assert get(client, server) == ("WrongContentLength", b"so")


# -- handshakes that come to nothing
NO_TLS = {
    "http": Send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "garbage": Send(bytes(range(256)) * 8),
    "alert": Send(b"\x15\x03\x03\x00\x02\x02\x28"),
    "half_a_record": Send(b"\x16\x03\x03\x00\x7a\x02\x00"),
    "zeros": Repeat(b"\0", 200_000),
}


@pytest.mark.parametrize("what", NO_TLS)
@pytest.mark.parametrize("end", ["fin", "at_once", "reset"])
def test_tls_server_that_speaks_none_error(scripted_server, client, what, end):
    server = scripted_server(beyond=[lambda peer: peer.more(), NO_TLS[what], ENDS[end]])
    one = client(server).ignores()
    assert (one.get(), one.errors) == (("UnknownError", b""), [])
    assert one.text.startswith("HTTP request failed: TLS: ")
    assert len(server.connections) == 1 and b"GET" not in server.connections[0].received


@pytest.mark.parametrize("end", ["fin", "at_once", "reset"])
@pytest.mark.parametrize("first", [[], [lambda peer: peer.more()]], ids=["before_the_hello", "after_the_hello"])
def test_tls_end_in_the_handshake_error(scripted_server, client, first, end):
    one = client(scripted_server(beyond=[*first, ENDS[end]]))
    error, body = one.get()
    if first == [] and end == "reset" and error == "UnexpectedClose":
        return                          # it was over before anybody looked at the new connection: tried again, in vain
    assert (error, body) == ("UnknownError", b"")
    assert one.text.startswith("HTTP request failed: ")


def test_tls_plain_http_server_at_once_with_its_answer_error(scripted_server, client):
    assert get(client, scripted_server(beyond=[Send(answer()), Drain(5)])) == ("UnknownError", b"")


@pytest.mark.parametrize("script", [
    [Pause(20)], [Send(b"\x16\x03\x03\x00\x7a\x02"), Pause(20)], [Drip(b"\x16\x03\x03\x3f\x00" + bytes(9999), 0.02)],
], ids=["silent", "half_a_record", "dripping"])
def test_tls_handshake_stalls_connection_refused_in_time(scripted_server, client, script):
    one = client(scripted_server(script))
    one.http.setConnectTimeout(200)
    assert one.get() == ("ConnectionRefused", b"")


def test_tls_abort_in_the_handshake_aborted(scripted_server, client):
    server = scripted_server([lambda peer: peer.more(), Pause(20)])
    one = client(server)
    one.http.get("/")
    turn_until(lambda: server.connections and server.connections[0].n_received)
    one.http.abort()
    assert one.wait() == "Aborted"


def test_tls_handshake_in_single_bytes_accepted(certificates, scripted_server, client):
    """The server's side of it comes byte by byte."""
    class Slow:
        def __init__(self, sock):
            self.sock, self.settimeout, self.recv = sock, sock.settimeout, sock.recv

        def sendall(self, data):
            for n in range(len(data)):
                self.sock.sendall(data[n:n + 1])

    def play(peer):
        wire = Wire(Slow(peer.sock), certificates.server())
        wire.read_request()
        wire.sock.sendall(wire.record(answer(b"slow")))

    server = scripted_server([play, Drain(5)])
    assert get(client, server) == ("NoError", b"slow")


# -- idle connections
@pytest.mark.parametrize("what", [*ENDS, "bytes"])
@versions
def test_tls_idle_connection_ended_by_the_server_closed_and_not_used_again(
        certificates, scripted_server, client, what, version):
    context, gate = certificates.server(version=version), Gate()
    act = Send(answer(b"poison")) if what == "bytes" else ENDS[what]
    server = scripted_server([*answers(context, b"1"), gate, act, Drain(5)], answers(context, b"2"))
    one = client(server)
    assert one.get() == ("NoError", b"1")
    gate.open()
    turn_until(lambda: one.http.state() == one.http.Unconnected)
    assert one.get() == ("NoError", b"2")


@pytest.mark.parametrize("what", ["fin", "close_notify", "bytes"])
def test_tls_idle_connection_ended_unseen_not_used_again(certificates, scripted_server, client, what):
    """The loop has not turned between the server's end and the next request."""
    gate, ended = Gate(), Passed()
    end = {"fin": HalfClose(), "close_notify": start_good_bye, "bytes": Send(answer(b"poison"))}[what]
    context = certificates.server()
    server = scripted_server([*answers(context, b"1"), gate, end, ended, Drain(5)], answers(context, b"2"))
    one = client(server)
    assert one.get() == ("NoError", b"1")
    gate.open()
    ended.wait()
    assert one.get() == ("NoError", b"2")


@pytest.mark.parametrize("n_records", [1, 2], ids=["one_record", "two_records"])
def test_tls_answer_nobody_asked_for_behind_another_not_taken(certificates, scripted_server, client, n_records):
    context = certificates.server()
    one, two = answer(b"1"), answer(b"poison")
    step = whole(one + two) if n_records == 1 else joined(whole(one), whole(two))
    server = scripted_server([Tampered(context, (step,)), Drain(5)], answers(context, b"2"))
    one = client(server)
    assert [one.get(), one.get()] == [("NoError", b"1"), ("NoError", b"2")]


def test_tls_answer_nobody_asked_for_behind_another_two_queued_not_taken(certificates, scripted_server, client):
    context = certificates.server()
    server = scripted_server([Tampered(context, (joined(whole(answer(b"1")), whole(answer(b"poison"))),)), Drain(5)],
                             answers(context, b"2"))
    one, bodies = client(server), []
    one.http.requestFinished.connect(lambda *_: bodies.append(bytes(one.http.readAll())))
    one.http.get("/1")
    one.http.get("/2")
    assert (one.wait(), [body for body in bodies if body]) == ("NoError", [b"1", b"2"])


def test_tls_close_says_good_bye(certificates, scripted_server, client):
    how = []

    def look(peer):
        peer.sock.settimeout(5)
        how.append(peer.sock.recv(1))       # b"": close_notify; without one it raises SSLEOFError

    server = scripted_server([*answers(certificates.server(), b"ok"), look])
    one = client(server)
    one.get()
    one.http.close()
    one.wait()
    server.wait_for(lambda: how)
    assert how == [b""]
    assert one.http.state() == qhttp.QHttp.Unconnected

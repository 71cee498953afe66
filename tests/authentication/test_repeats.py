"""The request once more: on which connection, with which bytes, and what becomes of the body of the 401."""
import io

import pytest
from authentication.test_credentials import OK, REJECTED, RIGHT, script, sent
from support.actions import Close, CloseAtOnce, Pause, ReceiveBody, ReceiveHead, ReceiveRequest, Repeat, Reset, Send
from support.credentials import BASIC, PAGE, UNAUTHORIZED, basic, digest, is_right_digest, refused, values
from support.faults import BODY, chunked, head, whole

ANEW = ["Connecting", "Sending", "Reading", "Closing", "Connecting", "Sending", "Reading", "Connected"]
ON_THE_SAME = ["Connecting", "Sending", "Reading", "Sending", "Reading", "Connected"]
WHO = b"WWW-Authenticate: " + BASIC
BIG = 70_000
UPLOAD = b"u" * 100_000


def refusal(*fields):
    return head(WHO, *fields, status=UNAUTHORIZED)


def chunked_refusal(*pieces):
    return refusal(b"Transfer-Encoding: chunked") + chunked(*pieces).partition(b"\r\n\r\n")[2]


class Sequential(io.RawIOBase):
    """A device that gives its bytes once."""

    def __init__(self, data):
        self.rest = io.BytesIO(data)

    def readable(self):
        return True

    def read(self, n=-1):
        return self.rest.read(n)


def n_connections(server):
    return len(server.connections)


# -- on which connection
@pytest.mark.parametrize("answer", [refused(), refused(body=b""), chunked_refusal(b"who", b"are"), chunked_refusal(),
                                    refused(body=b"x" * 65_536)],
                         ids=["length", "empty", "chunked", "empty chunked", "64 KiB"])
def test_repeat_body_of_401_ends_sent_on_the_same_connection(scripted_server, client, answer):
    server = scripted_server(script(answer, OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert c.get() == ("NoError", BODY)
    assert (n_connections(server), c.told.states) == (1, ON_THE_SAME)


@pytest.mark.parametrize("refusing", [
    [Send(refused(fields=[b"Connection: close"])), Close()],
    [Send(refused(fields=[b"Connection: close"]))],
    [Send(refused(fields=[b"Proxy-Connection: close"]))],
    [Send(refusal() + PAGE), Close()],
    [Send(refusal() + PAGE)],
    [Send(refused().replace(b"HTTP/1.1", b"HTTP/1.0")), Close()],
    [Send(refusal(b"Content-Length: %d" % BIG) + PAGE)],
    [Send(refusal(b"Content-Length: 12345678901234") + PAGE)],
    [Send(refusal(b"Content-Length: 100") + PAGE), Close()],
    [Send(refusal(b"Content-Length: 100") + PAGE), Pause(0.02), Reset()],
    [Send(refusal(b"Transfer-Encoding: chunked") + b"5\r\nabc"), Close()],
    [Send(refusal(b"Transfer-Encoding: chunked") + b"zz\r\n")],
    [Send(refusal(b"Transfer-Encoding: chunked")), Repeat(b"4\r\nabcd\r\n", 30_000)],
    [Send(refused() + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")],
    [Send(refused() + b"x")],
], ids=["close", "close unclosed", "proxy close", "until close", "until close unclosed", "1.0", "big", "huge", "cut", "reset",
        "cut chunk", "bad chunk", "many chunks", "another answer behind", "byte behind"])
def test_repeat_connection_of_401_unfit_sent_on_another(scripted_server, client, refusing):
    server = scripted_server([ReceiveRequest(), *refusing], script(OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert c.get() == ("NoError", BODY)
    assert (n_connections(server), c.told.states, c.statuses) == (2, ANEW, [200])
    assert values(server.requests[1][0]) == [basic()]


@pytest.mark.parametrize("how", [Close(), CloseAtOnce()])
def test_repeat_server_closes_kept_connection_behind_401_sent_on_another(scripted_server, client, how):
    def answer_when_closed(authenticator):
        if isinstance(how, CloseAtOnce):
            server.wait_for(lambda: server.connections[0].how_ended)
        authenticator.setUser(RIGHT[0])
        authenticator.setPassword(RIGHT[1])

    server = scripted_server([ReceiveRequest(), Send(refused()), how], script(OK))
    c = client(server, answers=[answer_when_closed])
    assert c.get() == ("NoError", BODY)
    assert (n_connections(server), c.statuses) == (2, [200])


def test_repeat_server_drops_it_unanswered_get_is_tried_anew(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Send(refused()), ReceiveRequest(), CloseAtOnce()], script(OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert c.get() == ("NoError", BODY)
    assert values(server.requests[1][0]) == [basic()]


def test_repeat_server_drops_it_unanswered_post_is_an_error(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Send(refused()), ReceiveRequest(), CloseAtOnce()], script(OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    c.http.post("/", b"data")
    assert c.outcome()[0] == "UnexpectedClose"


def test_repeat_server_gone_is_connection_refused(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Send(refused(fields=[b"Connection: close"])), Close()])
    c = client(server)

    def answer(authenticator):
        server.close()
        authenticator.setUser("u")

    c.answers = [answer]
    assert c.get() == ("ConnectionRefused", b"")


# -- whose bytes reach whom
@pytest.mark.parametrize("kind", ["memory", "device"])
def test_repeat_body_of_401_reaches_nobody(scripted_server, client, kind):
    server = scripted_server(script(refused(body=b"x" * 5000), whole(BODY)))
    c = client(server)
    to = io.BytesIO()
    c.http.setUser(*RIGHT)
    c.http.get("/", to if kind == "device" else None)
    error, body = c.outcome()
    assert error == "NoError"
    assert (to.getvalue() if kind == "device" else body) == BODY
    assert c.told.of("dataReadProgress")[0][0] <= len(BODY)


def test_repeat_not_solved_device_gets_nothing(scripted_server, client):
    server = scripted_server(script(refused()))
    c, to = client(server), io.BytesIO()
    c.http.get("/", to)
    assert c.outcome() == (REJECTED, b"")
    assert to.getvalue() == b""


def test_repeat_of_head_without_bodies(scripted_server, client):
    page = refusal(b"Content-Length: 9999999")
    server = scripted_server(script(page, head(b"Content-Length: 5")))
    c = client(server)
    c.http.setUser(*RIGHT)
    c.http.head("/")
    assert c.outcome() == ("NoError", b"")
    assert [request[:5] for request in sent(server)] == [b"HEAD "] * 2
    assert c.told.states == ON_THE_SAME


@pytest.mark.parametrize("interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 3])
def test_repeat_interim_answers_before_both_are_passed_over(scripted_server, client, interim):
    server = scripted_server(script(interim + refused(), interim + OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert c.get() == ("NoError", BODY)
    assert c.statuses == [200]


def test_repeat_then_error_page_is_an_answer(scripted_server, client):
    server = scripted_server(script(refused(), whole(b"no", status=b"HTTP/1.1 403 Forbidden\r\n")))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert c.get() == ("NoError", b"no")
    assert c.statuses == [403]


# -- uploads
def test_repeat_post_bytes_sent_again(scripted_server, client):
    server = scripted_server(script(refused(), OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    c.http.post("/", b"some data")
    assert c.outcome() == ("NoError", BODY)
    assert [request.partition(b"\r\n\r\n")[2] for request in sent(server)] == [b"some data"] * 2


@pytest.mark.parametrize("size", [0, 10, 5000, 300_000])
@pytest.mark.parametrize("kind", ["bytes", "buffer", "file"])
def test_repeat_post_sent_again_from_its_start(scripted_server, client, tmp_path, kind, size):
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    server = scripted_server(script(refused(digest()), OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    (tmp_path / "source").write_bytes(data)
    with open(tmp_path / "source", "rb") as file:
        c.http.post("/", {"bytes": data, "buffer": io.BytesIO(data), "file": file}[kind])
        assert c.outcome() == ("NoError", BODY)
    assert [request.partition(b"\r\n\r\n")[2] for request in sent(server)] == [data] * 2
    assert is_right_digest(sent(server)[1])
    total = len(sent(server)[1])
    assert c.told.of("dataSendProgress")[-1] == (total, total)


def test_repeat_of_device_that_cannot_seek_is_an_error_that_says_so(scripted_server, client):
    server = scripted_server([ReceiveHead(), ReceiveBody(), Send(refused()), ReceiveRequest()])
    c = client(server)
    c.http.setUser(*RIGHT)
    c.http.post("/", Sequential(b"some data"))
    assert c.outcome() == ("UnknownError", b"")
    assert c.http.errorString() == "the body cannot be sent again: its device cannot seek"


def expecting():
    import qhttp
    header = qhttp.QHttpRequestHeader("POST", "/")
    header.setValue("Host", "h")
    header.setValue("Expect", "100-continue")
    return header


def test_repeat_401_before_the_body_of_an_unseekable_device_was_asked_for_sends_it(scripted_server, client):
    go_on = Send(b"HTTP/1.1 100 Continue\r\n\r\n")
    server = scripted_server([ReceiveHead(), Send(refused(fields=[b"Connection: close"]))],
                             [ReceiveHead(), go_on, ReceiveBody(), Send(OK)])
    c = client(server)
    c.http.setUser(*RIGHT)
    c.http.request(expecting(), Sequential(b"some data"))
    assert c.outcome() == ("NoError", BODY)
    assert b"some data" in server.connections[1].received
    assert b"some data" not in server.connections[0].received


@pytest.mark.parametrize("kind", ["bytes", "buffer"])
def test_repeat_early_401_during_an_upload_sends_it_anew(scripted_server, client, kind):
    data = UPLOAD * 300
    server = scripted_server([ReceiveHead(), Send(refused()), Pause(0.05), ReceiveBody()],
                             [ReceiveHead(), ReceiveBody(), Send(OK)])
    c = client(server)
    c.http.setUser(*RIGHT)
    c.http.post("/", data if kind == "bytes" else io.BytesIO(data))
    assert c.outcome() == ("NoError", BODY)
    assert n_connections(server) == 2
    second = server.connections[1]
    assert second.n_received == len(second.taken[0]) + len(data)
    assert c.told.of("dataSendProgress")[-1] == (second.n_received,) * 2


def test_repeat_early_401_not_solved_is_the_error(scripted_server, client):
    server = scripted_server([ReceiveHead(), Send(refused())])
    c = client(server)
    c.http.post("/", UPLOAD * 300)
    assert c.outcome() == (REJECTED, b"")


def test_repeat_source_turns_the_loop_while_401_comes_no_wrong_bytes(scripted_server, client):
    """Its read() turns the loop until the 401 is there: it cannot be rewound under its own feet."""
    data, turns = bytes(range(256)) * 400, []

    class Turning(io.BytesIO):
        def read(self, n=-1):
            if self.tell() == 4096 * 2 and len(turns) < 1:
                turns.append(1)
                for _ in range(20):
                    c.http.waitForDone(10)
            return super().read(n)

    server = scripted_server([ReceiveHead(), Send(refused())], [ReceiveHead(), ReceiveBody(), Send(OK)])
    c = client(server)
    c.http.setUser(*RIGHT)
    c.http.post("/", Turning(data))
    error, _ = c.outcome()
    assert len(c.told.finished) == 2
    if error == "NoError":
        received = bytes(server.connections[1].received)
        assert received.partition(b"\r\n\r\n")[2] == data


# -- pipelining
def path_of(request):
    return request.split(b" ")[1]


def test_pipelining_401_followers_neither_lost_nor_doubled(scripted_server, client):
    """Six GETs, up to four of them out at a time; the third is challenged."""
    def serve(peer):
        while True:
            ReceiveHead()(peer)
            request = peer.taken[-1]
            if path_of(request) == b"/2" and not values(request):
                peer.send(refused())
            else:
                peer.send(whole(path_of(request)))

    server = scripted_server(beyond=[serve])
    c = client(server)
    c.http.setPipelining(4)
    c.http.setUser(*RIGHT)
    bodies = []
    c.http.requestFinished.connect(lambda *_: bodies.append(bytes(c.http.readAll())))
    numbers = [c.http.get(f"/{n}") for n in range(6)]
    c.outcome()
    assert bodies[1:] == [b"/%d" % n for n in range(6)]
    assert c.told.finished[1:] == [(number, False) for number in numbers]
    assert c.statuses == [200] * 6


def test_pipelining_every_request_challenged_each_answered_once(scripted_server, client):
    def serve(peer):
        while True:
            ReceiveHead()(peer)
            request = peer.taken[-1]
            peer.send(whole(path_of(request)) if values(request) == [basic()] else refused())

    server = scripted_server(beyond=[serve])
    c = client(server)
    c.http.setPipelining(4)
    c.answers = [RIGHT]
    bodies = []
    c.http.requestFinished.connect(lambda *_: bodies.append(bytes(c.http.readAll())))
    for n in range(6):
        c.http.get(f"/{n}")
    c.outcome()
    assert bodies == [b"/%d" % n for n in range(6)]
    assert (len(c.asked), c.http.error().name) == (1, "NoError")


def test_pipelining_rejected_credentials_not_sent_by_followers(scripted_server, client):
    """What was composed before its turn is composed anew on another connection."""
    def serve(peer):
        n = 0
        while True:
            ReceiveHead()(peer)
            n += 1
            right = "new" if state["changed"] else "old"
            if n > 1 and peer.number == 0:
                state["changed"] = True
            request = peer.taken[-1]
            peer.send(whole(path_of(request)) if values(request) == [basic("u", right)] else refused())

    state = {"changed": False}
    server = scripted_server(beyond=[serve])
    c = client(server, answers=[("u", "new")] * 3)
    c.http.setPipelining(4)
    c.http.setUser("u", "old")
    bodies = []
    c.http.requestFinished.connect(lambda *_: bodies.append(bytes(c.http.readAll())))
    for n in range(8):
        c.http.get(f"/{n}")
    c.outcome()
    assert bodies[1:] == [b"/%d" % n for n in range(8)]
    old = [path_of(request) for request in server.requests[-1] if values(request) == [basic("u", "old")]]
    assert old == []


def test_pipelining_401_not_solved_ends_the_batch(scripted_server, client):
    server = scripted_server(script(OK, refused(), OK, OK))
    c = client(server)
    c.http.setPipelining(4)
    for n in range(4):
        c.http.get(f"/{n}")
    assert c.outcome()[0] == REJECTED
    assert [failed for _, failed in c.told.finished] == [False, True]
    assert c.told.of("done") == [True]


# -- limits of time
def test_total_timeout_counts_through_repeats(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Send(refused()), ReceiveRequest(), Pause(30)])
    c = client(server)
    c.http.setUser(*RIGHT)
    c.http.setTotalTimeout(150)
    assert c.get() == ("UnknownError", b"")
    assert c.http.errorString() == "the request took longer than 150 ms in all"


@pytest.mark.parametrize("fields", [(), (b"Connection: close",)])
def test_transfer_timeout_counts_on_the_repeat(scripted_server, client, fields):
    stall = [ReceiveRequest(), Pause(30)]
    refuse = [ReceiveRequest(), Send(refused(fields=fields))]
    server = scripted_server([*refuse, *stall], stall)
    c = client(server)
    c.http.setUser(*RIGHT)
    c.http.setTransferTimeout(100)
    assert c.get() == ("UnknownError", b"")
    assert c.http.errorString() == "no byte came for 100 ms"


def test_transfer_timeout_body_of_401_stalls_is_the_error(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Send(refusal(b"Content-Length: 100") + PAGE), Pause(30)])
    c = client(server)
    c.http.setUser(*RIGHT)
    c.http.setTransferTimeout(100)
    assert c.get() == ("UnknownError", b"")


def test_connect_timeout_does_not_count_on_the_repeat(scripted_server, client):
    answer_late = [ReceiveRequest(), Pause(0.2), Send(OK)]
    server = scripted_server([ReceiveRequest(), Send(refused(fields=[b"Connection: close"]))], answer_late)
    c = client(server)
    c.http.setUser(*RIGHT)
    c.http.setConnectTimeout(100)
    assert c.get() == ("NoError", BODY)

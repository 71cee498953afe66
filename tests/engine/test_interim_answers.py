"""1xx answers: noted, never taken for the answer, however they are cut."""
import pytest
from support import faults
from support.actions import Close, ReceiveRequest, Send

import qhttp

OK = ("NoError", faults.BODY)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nLink: </x.js>\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\nX: a\r\n b\r\n\r\n"


@pytest.mark.parametrize("before", [CONTINUE, HINTS, CONTINUE * 3, CONTINUE + HINTS + PROCESSING, HINTS * 20])
@pytest.mark.parametrize("answer", [faults.whole(), faults.chunked(faults.BODY)])
def test_interim_answers_before_the_answer_are_passed_over(scripted_server, client, before, answer):
    recorded = client(scripted_server([ReceiveRequest(), Send(before + answer)] * 2))
    assert [recorded.get(), recorded.get()] == [OK, OK]
    assert recorded.statuses == [200, 200]
    assert recorded.states == ["Connecting", "Sending", "Reading", "Connected", "Sending", "Reading", "Connected"]


def test_interim_answers_cut_at_every_byte_are_passed_over(scripted_server, client):
    data = CONTINUE + HINTS + faults.whole()
    recorded = client(scripted_server([ReceiveRequest(), Send(data, cuts=tuple(range(1, len(data))))]))
    assert recorded.get() == OK
    assert recorded.statuses == [200]


@pytest.mark.parametrize("at", [1, len(CONTINUE) - 1, len(CONTINUE), len(CONTINUE) + 1, len(CONTINUE + HINTS),
                                len(CONTINUE + HINTS) + 7, len(CONTINUE + HINTS + faults.whole()) - len(faults.BODY)])
def test_interim_answers_cut_once_with_a_pause_are_passed_over(scripted_server, client, at):
    recorded = client(scripted_server([ReceiveRequest(), Send(CONTINUE + HINTS + faults.whole(), (at,), 0.01)]))
    assert recorded.get() == OK


def test_interim_answer_is_the_last_response_until_the_answer_comes(scripted_server, client):
    seen = []
    recorded = client(scripted_server([ReceiveRequest(), Send(HINTS + faults.whole(), (len(HINTS),), 0.05)]))

    def look():
        head = recorded.http.lastResponse()
        seen.append((head.statusCode(), head.allValues("link")) if head.isValid() else None)
        timers.append(qhttp.loop().call_later(0.01, look))

    timers = []
    look()
    assert recorded.get() == OK
    timers[-1].cancel()
    assert (103, ["</style.css>", "</x.js>"]) in seen
    assert recorded.http.lastResponse().statusCode() == 200


def test_interim_answer_with_a_length_has_no_body(scripted_server, client):
    interim = b"HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\n"
    recorded = client(scripted_server([ReceiveRequest(), Send(interim + faults.whole())]))
    assert recorded.get() == OK


def test_interim_answers_without_an_answer_are_an_unexpected_close(scripted_server, client):
    server = scripted_server([ReceiveRequest(), Send(CONTINUE + HINTS), Close()])
    recorded = client(server)
    assert recorded.get() == ("UnexpectedClose", b"")
    assert recorded.statuses == [] and len(server.connections) == 1


@pytest.mark.parametrize("n_pieces", [1, 50])
def test_interim_answers_without_end_stop_at_the_limit_of_heads(scripted_server, client, n_pieces):
    data = CONTINUE * 4000
    cuts = tuple(range(len(data) // n_pieces, len(data), len(data) // n_pieces))
    recorded = client(scripted_server([ReceiveRequest(), Send(data, cuts), Close()]))
    assert recorded.get() == ("InvalidResponseHeader", b"")
    assert "Limits" in recorded.http.errorString()


@pytest.mark.parametrize("bad", [b"HTTP/1.1 100 Continue\r\nBad name: x\r\n\r\n", b"HTTP/2.0 100 x\r\n\r\n",
                                 b"HTTP/1.1 100 x\n\n",
                                 CONTINUE + b"HTTP/1.1 1000 x\r\n\r\n", CONTINUE + b"nonsense\r\n\r\n",
                                 b"HTTP/1.1 099 x\r\n\r\n"])
def test_interim_answer_that_is_invalid_ends_the_request(scripted_server, client, bad):
    recorded = client(scripted_server([ReceiveRequest(), Send(bad + faults.whole()), Close()]))
    assert recorded.get() == ("InvalidResponseHeader", b"")


def test_change_of_protocol_that_nobody_asked_for_is_refused(scripted_server, client):
    switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    server = scripted_server([ReceiveRequest(), Send(switching + b"secret protocol")])
    recorded = client(server)
    assert recorded.get() == ("InvalidResponseHeader", b"")
    server.wait_for(lambda: server.connections and server.connections[0].how_ended is not None)


def test_interim_answers_to_head_and_post_are_passed_over(scripted_server, client):
    answer = faults.head(b"Content-Length: 5")
    recorded = client(scripted_server([ReceiveRequest(), Send(HINTS + answer),
                                       ReceiveRequest(), Send(CONTINUE + faults.whole())]))
    recorded.http.head("/")
    assert (recorded.wait(), recorded.http.readAll()) == ("NoError", b"")
    recorded.http.post("/", b"data")
    assert (recorded.wait(), recorded.http.readAll()) == OK
    assert recorded.statuses == [200, 200]

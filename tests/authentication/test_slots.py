"""Slots of authenticationRequired may do anything: the request ends once, nothing hangs, and nobody gets what is not his."""
import gc
import weakref

import pytest
from authentication.test_credentials import OK, REJECTED, RIGHT, script, sent
from authentication.test_repeats import chunked_refusal, refusal
from support.actions import Close, Pause, ReceiveRequest, Send
from support.credentials import PAGE, basic, refused, values
from support.faults import BODY, whole

import qhttp


def answering(authenticator, given=RIGHT):
    authenticator.setUser(given[0])
    authenticator.setPassword(given[1])


def turn_and_answer(c, authenticator):
    assert not c.http.waitForDone(80)
    answering(authenticator)


BODIES = {
    "whole": [Send(refused())],
    "late body": [Send(refusal(b"Content-Length: 12")), Pause(0.03), Send(PAGE)],
    "late chunks": [Send(chunked_refusal(PAGE)[:-5]), Pause(0.03), Send(b"0\r\n\r\n")],
    "big late": [Send(refusal(b"Content-Length: 60000")), Pause(0.03), Send(b"x" * 60000)],
    "surplus": [Send(refused()), Pause(0.03), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")],
    "late and surplus": [Send(refusal(b"Content-Length: 12")), Pause(0.03), Send(PAGE + b"HTTP/1.1 200 OK\r\n\r\n")],
}
ENDING = {
    "cut": [Send(refusal(b"Content-Length: 100") + PAGE), Pause(0.03), Close()],
    "closed": [Send(refused()), Pause(0.03), Close()],
    "until close": [Send(refusal() + PAGE), Pause(0.03), Close()],
    "bad chunk": [Send(refusal(b"Transfer-Encoding: chunked")), Pause(0.03), Send(b"zz\r\n")],
    "close": [Send(refused(fields=[b"Connection: close"])), Pause(0.03), Close()],
}
ALL = {**BODIES, **ENDING}


@pytest.fixture(params=ALL)
def refusing(request, scripted_server):
    """A server whose 401 comes in many ways; with credentials it answers, on that connection or another."""
    server = scripted_server([ReceiveRequest(), *ALL[request.param], *([] if request.param in ENDING else script(OK, OK))],
                             beyond=script(OK, OK, OK))
    server.unasked = request.param == "surplus"
    return server


def test_slot_turns_the_loop_and_answers(refusing, client):
    c = client(refusing)
    c.answers = [lambda authenticator: turn_and_answer(c, authenticator)]
    assert c.get() == ("NoError", BODY)
    assert (c.statuses, len(c.asked), c.told.of("done")) == ([200], 1, [False])


def test_state_slot_queues_another_while_the_request_is_repeated_each_gets_its_own_answer(scripted_server, client):
    """It may go behind the repeated one, with pipelining, and never before it."""
    server = scripted_server([ReceiveRequest(), Send(refused()), ReceiveRequest(), Send(whole(b"first")), ReceiveRequest(),
                              Send(whole(b"second"))])
    c = client(server, answers=[answering])
    c.http.setPipelining(4)
    bodies, queued = [], []

    def queue(state):
        if c.asked and state is c.http.Sending and not queued:
            queued.append(c.http.get("/second"))

    c.http.stateChanged.connect(queue)
    c.http.requestFinished.connect(lambda number, error: bodies.append(bytes(c.http.readAll())))
    c.http.get("/first")
    assert c.http.waitForDone(5000)
    assert [body for body in bodies if body] == [b"first", b"second"] and queued
    assert [request.split(b" ")[1] for request in server.requests[0]] == [b"/first", b"/first", b"/second"]


@pytest.mark.parametrize("ending", ENDING)
def test_slot_turns_the_loop_until_the_refusal_has_ended_the_answer_behind_is_whole(scripted_server, client, ending):
    answer = whole(BODY)
    server = scripted_server([ReceiveRequest(), *ENDING[ending]],
                             beyond=[ReceiveRequest(), Send(answer[:-20]), Pause(0.03), Send(answer[-20:])])
    c = client(server)
    c.answers = [lambda authenticator: turn_and_answer(c, authenticator)]
    assert c.get() == ("NoError", BODY)


def test_slot_turns_the_loop_and_does_not_answer(refusing, client):
    c = client(refusing, answers=[lambda authenticator: c.http.waitForDone(80)])
    assert c.get() == (REJECTED, b"")
    assert (c.statuses, c.told.of("done"), len(c.told.finished)) == ([], [True], 1)


@pytest.mark.parametrize("place", ["Reading", "Sending", "Closing", "Connecting"])
def test_state_slot_turns_the_loop_during_a_challenge(refusing, client, place):
    """The 401 is never told as an answer, and its body is nobody's."""
    if refusing.unasked:
        pytest.skip("it sends another answer in place of the one that is waited for")
    c = client(refusing, answers=[RIGHT])
    c.http.stateChanged.connect(lambda state: c.http.waitForDone(60) if state.name == place else None)
    assert c.get() == ("NoError", BODY)
    assert (c.statuses, len(c.asked), c.told.of("done")) == ([200], 1, [False])


def test_slot_turns_the_loop_and_aborts(refusing, client):
    def turn(authenticator):
        c.http.waitForDone(50)
        c.http.abort()
        answering(authenticator)

    c = client(refusing, answers=[turn])
    assert c.get() == ("Aborted", b"")
    assert (c.told.of("done"), [failed for _, failed in c.told.finished]) == ([True], [True])


def test_slot_aborts(refusing, client):
    c = client(refusing, answers=[lambda _: c.http.abort()])
    assert c.get() == ("Aborted", b"")
    assert [failed for _, failed in c.told.finished] == [True]
    assert len(sent(refusing)) == 1
    assert c.get() == ("NoError", BODY)


def test_slot_aborts_and_asks_anew(refusing, client):
    def again(authenticator):
        c.http.abort()
        c.http.get("/again")
        answering(authenticator)

    c = client(refusing, answers=[again])
    assert c.get() == ("NoError", BODY)
    assert [failed for _, failed in c.told.finished] == [True, False]


def test_slot_aborts_asks_anew_and_turns_the_loop(refusing, client):
    def again(authenticator):
        c.http.abort()
        c.http.get("/again")
        c.http.waitForDone(500)
        answering(authenticator, ("wrong", "one"))

    c = client(refusing, answers=[again])
    assert c.get() == ("NoError", BODY)
    assert [failed for _, failed in c.told.finished] == [True, False]


def test_slot_queues_requests(refusing, client):
    def queue(authenticator):
        answering(authenticator)
        c.http.get("/second")
        c.http.close()
        c.http.get("/third")

    c = client(refusing, answers=[queue])
    assert c.get() == ("NoError", BODY)
    assert [failed for _, failed in c.told.finished] == [False] * 4
    assert len({request for request in sent(refusing) if values(request)}) == 3


def test_slot_sets_user_which_comes_too_late(refusing, client):
    c = client(refusing, answers=[lambda _: c.http.setUser(*RIGHT)])
    assert c.get() == (REJECTED, b"")
    assert len(c.told.finished) == 1


def test_slot_deletes_later(refusing, client):
    def delete(authenticator):
        answering(authenticator)
        c.http.deleteLater()

    c = client(refusing, answers=[delete])
    c.http.get("/")
    c.http.waitForDone(4000)
    assert c.told.of("done") in ([True], [False])
    assert len(c.told.finished) == 1


def test_slot_deletes_later_and_turns_the_loop(refusing, client):
    def delete(authenticator):
        answering(authenticator)
        c.http.deleteLater()
        qhttp.loop().run(60)

    c = client(refusing, answers=[delete])
    c.http.get("/")
    c.http.waitForDone(4000)
    assert c.told.finished == [(c.told.started[0], True)]


def test_slot_clears_what_waits(scripted_server, client):
    server = scripted_server(script(refused(), OK))
    c = client(server, answers=[lambda authenticator: (answering(authenticator), c.http.clearPendingRequests())])
    c.http.get("/")
    c.http.get("/dropped")
    assert c.outcome() == ("NoError", BODY)
    assert len(c.told.finished) == 1


def test_slot_waits_without_a_limit_is_refused(scripted_server, client):
    def wait(authenticator):
        with pytest.raises(RuntimeError):
            c.http.waitForDone()
        answering(authenticator)

    server = scripted_server(script(refused(), OK))
    c = client(server, answers=[wait])
    assert c.get() == ("NoError", BODY)


def test_slot_runs_another_client_to_its_end(scripted_server, client):
    server, other_server = scripted_server(script(refused(), OK)), scripted_server(script(refused(), OK))
    other = client(other_server, answers=[("other", "word")])

    def ask_there(authenticator):
        assert other.get() == ("NoError", BODY)
        answering(authenticator)

    c = client(server, answers=[ask_there])
    assert c.get() == ("NoError", BODY)
    assert values(sent(other_server)[1]) == [basic("other", "word")]
    assert values(sent(server)[1]) == [basic()]


def test_slot_keeps_the_authenticator_later_changes_are_without_effect(scripted_server, client):
    kept = []
    server = scripted_server(script(refused(), OK, OK))
    c = client(server, answers=[lambda authenticator: (answering(authenticator), kept.append(authenticator))])
    c.get()
    kept[0].setUser("another")
    c.get()
    assert values(sent(server)[2]) == [basic()]


def test_slot_reads_and_finds_nothing(scripted_server, client):
    seen = []
    server = scripted_server(script(refused(), OK))
    c = client(server, answers=[lambda authenticator: (seen.append((bytes(c.http.readAll()), c.http.bytesAvailable())),
                                                       answering(authenticator))])
    assert c.get() == ("NoError", BODY)
    assert seen == [(b"", 0)]


def test_slot_client_without_references_is_freed_after_a_challenge(scripted_server):
    server = scripted_server(script(refused(), OK))
    http = qhttp.QHttp(server.host, server.port)
    http.authenticationRequired.connect(lambda host, port, authenticator: answering(authenticator))
    http.get("/")
    assert http.waitForDone(4000)
    found = weakref.ref(http)
    del http
    gc.collect()
    assert found() is None


def test_slot_takes_longer_than_the_transfer_timeout_is_let(scripted_server, client):
    """Whoever is asked may take his time."""
    server = scripted_server([ReceiveRequest(), Send(refusal(b"Content-Length: 12")), Pause(0.05), Send(PAGE), *script(OK)])

    def think(authenticator):
        c.http.waitForDone(250)
        answering(authenticator)

    c = client(server, answers=[think])
    c.http.setTransferTimeout(100)
    assert c.get() == ("NoError", BODY)


def test_slot_takes_longer_than_the_total_timeout_is_the_error(scripted_server, client):
    server = scripted_server(script(refused(), whole()))

    def think(authenticator):
        c.http.waitForDone(250)
        answering(authenticator)

    c = client(server, answers=[think])
    c.http.setTotalTimeout(100)
    assert c.get() == ("UnknownError", b"")
    assert len(sent(server)) == 1

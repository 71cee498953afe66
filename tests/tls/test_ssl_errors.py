"""sslErrors: who may say yes, when, and what becomes of the connection meanwhile. Not a byte goes out before the answer."""
import pytest
from support.actions import Close, CloseAtOnce, Pause, ReceiveRequest, Reset, Send
from support.loops import turn_until
from tls.peers import Gate, Shake, answer, answers, close_notify

import qhttp


@pytest.fixture
def bad_server(certificates, scripted_server):
    """A server whose certificate has expired; it answers "ok" on each connection."""
    return scripted_server(beyond=answers(certificates.server("expired"), b"ok", b"more"))


def n_received(server):
    server.wait_for(lambda: all(peer.how_ended for peer in server.connections))
    return [peer.n_received for peer in server.connections]


def test_tls_errors_ignored_before_the_request_refused(bad_server, client):
    one = client(bad_server).asks()
    one.http.ignoreSslErrors()
    assert (one.get(), n_received(bad_server)) == (("UnknownError", b""), [0, 0])


@pytest.mark.parametrize("signal", ["requestStarted", "stateChanged"])
def test_tls_errors_ignored_in_another_signal_refused(bad_server, client, signal):
    one = client(bad_server).asks()
    getattr(one.http, signal).connect(one.http.ignoreSslErrors)
    assert (one.get(), n_received(bad_server)) == (("UnknownError", b""), [0, 0])


def test_tls_errors_ignored_after_the_slot_refused(bad_server, client):
    one = client(bad_server)
    one.asks(lambda: qhttp.loop().call_soon(one.http.ignoreSslErrors))
    assert (one.get(), n_received(bad_server)) == (("UnknownError", b""), [0, 0])


def test_tls_errors_ignored_in_the_slot_of_another_object_refused(bad_server, client):
    one, other = client(bad_server).asks(), client(bad_server)
    other.asks(one.http.ignoreSslErrors)
    assert other.get() == ("UnknownError", b"")
    assert (one.get(), n_received(bad_server)) == (("UnknownError", b""), [0, 0, 0, 0])


def test_tls_errors_ignored_once_asked_again_on_the_next_connection(certificates, scripted_server, client):
    server = scripted_server(beyond=[*answers(certificates.server("expired"), b"ok"), close_notify])
    one = client(server)
    one.asks(lambda: len(one.errors) > 1 or one.http.ignoreSslErrors())
    assert one.get() == ("NoError", b"ok")
    turn_until(lambda: one.http.state() == one.http.Unconnected)
    assert (one.get(), len(one.errors)) == (("UnknownError", b""), 2)


def test_tls_errors_ignored_and_a_second_slot_silent_accepted(bad_server, client):
    one = client(bad_server).ignores().asks()
    assert (one.get(), len(one.errors)) == (("NoError", b"ok"), 2)


def test_tls_errors_with_blocked_signals_refused_unasked(bad_server, client):
    one = client(bad_server).ignores()
    one.http.blockSignals(True)
    assert (one.get(), one.errors, n_received(bad_server)) == (("UnknownError", b""), [], [0])


def test_tls_errors_with_slot_disconnected_refused_unasked(bad_server, client):
    one = client(bad_server).ignores()
    one.http.sslErrors.disconnect()
    assert (one.get(), one.errors, n_received(bad_server)) == (("UnknownError", b""), [], [0])


def test_tls_good_certificate_after_ignored_ones_not_asked_about(bad_server, certificates, scripted_server, client):
    one = client(bad_server).ignores()
    one.get()
    good = scripted_server(answers(certificates.server(), b"good"))
    one.http.setHost("localhost", one.http.ConnectionModeHttps, good.port)
    assert (one.get(), len(one.errors)) == (("NoError", b"good"), 1)


def test_tls_exception_in_slot_refused_and_raised(bad_server, client):
    one = client(bad_server)
    one.asks(lambda: 1 / 0)
    one.http.get("/")
    with pytest.raises(ZeroDivisionError):
        one.wait()
    assert (one.wait(), n_received(bad_server)) == ("UnknownError", [0, 0])


@pytest.mark.parametrize("first", ["abort", "ignore"])
def test_tls_abort_in_slot_aborted_and_nothing_sent(bad_server, client, first):
    one = client(bad_server)
    both = [one.http.abort, one.http.ignoreSslErrors]
    one.asks(lambda: [do() for do in (both if first == "abort" else reversed(both))])
    assert (one.get(), n_received(bad_server)) == (("Aborted", b""), [0, 0])


def test_tls_abort_in_slot_next_request_asked_again(bad_server, client):
    one = client(bad_server)
    one.asks(lambda: one.http.abort() if len(one.errors) == 1 else one.http.ignoreSslErrors())
    assert one.get() == ("Aborted", b"")
    assert (one.get(), len(one.errors)) == (("NoError", b"ok"), 2)


@pytest.mark.parametrize("verb", ["close", "deleteLater", "clearPendingRequests"])
def test_tls_other_verbs_in_slot_with_ignoring_still_end(bad_server, client, verb):
    one = client(bad_server)
    one.asks(lambda: (getattr(one.http, verb)(), one.http.ignoreSslErrors()))
    one.http.get("/")
    assert one.wait() == "NoError" or verb == "deleteLater"
    assert len(one.errors) == 1


def test_tls_request_queued_in_slot_answered_after_the_first(bad_server, client):
    one, ids, finished = client(bad_server), [], []
    one.asks(lambda: (ids.append(one.http.get("/2")), one.http.ignoreSslErrors()))
    one.http.requestFinished.connect(lambda id, error: finished.append((id, error)))
    ids.append(one.http.get("/1"))
    assert one.wait() == "NoError"
    assert [row for row in finished if row[0] in ids] == [(id, False) for id in sorted(ids)]
    assert [b"".join(taken).count(b"GET ") for taken in bad_server.requests] == [0, 2]


# -- the loop turned in the slot
def turns_of(n):
    for _ in range(n):
        qhttp.loop().run(2)


def test_tls_loop_turned_in_slot_then_ignored_accepted(bad_server, client):
    one = client(bad_server)

    def then():
        turns_of(5)
        assert bad_server.connections[1].n_received == 0
        one.http.ignoreSslErrors()

    one.asks(then)
    assert (one.get(), len(one.errors)) == (("NoError", b"ok"), 1)


def test_tls_loop_turned_in_slot_after_ignoring_nothing_sent_meanwhile(bad_server, client):
    one = client(bad_server)

    def then():
        one.http.ignoreSslErrors()
        turns_of(5)
        assert bad_server.connections[1].n_received == 0

    one.asks(then)
    assert (one.get(), len(one.errors)) == (("NoError", b"ok"), 1)


@pytest.mark.parametrize("end", [Close(), CloseAtOnce(), Reset(), close_notify],
                         ids=["fin", "at_once", "reset", "close_notify"])
def test_tls_server_closes_while_the_slot_turns_the_loop_error(certificates, scripted_server, client, end):
    context, gate = certificates.server("expired"), Gate()
    server = scripted_server([Shake(context)], [Shake(context), gate, end])
    one = client(server)

    def then():
        gate.open()
        turn_until(lambda: server.connections[1].n_played == 2 and (turns_of(10) or True))
        one.http.ignoreSslErrors()

    one.asks(then)
    assert (one.get(), len(one.errors)) == (("UnknownError", b""), 1)
    assert one.text == "HTTP request failed: the server closed the connection"
    assert n_received(server) == [0, 0]


def test_tls_server_speaks_while_the_slot_turns_the_loop_error(certificates, scripted_server, client):
    context, gate = certificates.server("expired"), Gate()
    server = scripted_server([Shake(context)], [Shake(context), gate, Send(answer(b"poison")), ReceiveRequest()])
    one = client(server)

    def then():
        gate.open()
        turn_until(lambda: server.connections[1].n_played == 3 and (turns_of(5) or True))
        one.http.ignoreSslErrors()

    one.asks(then)
    assert one.get() == ("UnknownError", b"")
    assert n_received(server) == [0, 0]


def test_tls_total_time_up_while_the_slot_turns_the_loop_error(bad_server, client):
    one = client(bad_server)
    one.http.setTotalTimeout(150)
    one.asks(lambda: (turn_until(lambda: one.http.error() != one.http.NoError), one.http.ignoreSslErrors()))
    assert (one.get(), n_received(bad_server)) == (("UnknownError", b""), [0, 0])
    assert "150 ms in all" in one.text


def test_tls_connect_time_does_not_run_while_the_slot_is_asked(bad_server, client):
    one = client(bad_server)
    one.http.setConnectTimeout(300)
    one.asks(lambda: (qhttp.loop().run(400), one.http.ignoreSslErrors()))
    assert one.get() == ("NoError", b"ok")


def test_tls_abort_while_the_slot_turns_the_loop_aborted(bad_server, client):
    one = client(bad_server)
    one.asks(lambda: (qhttp.loop().call_soon(one.http.abort), turns_of(5), one.http.ignoreSslErrors()))
    assert (one.get(), n_received(bad_server)) == (("Aborted", b""), [0, 0])


def test_tls_second_handshake_stalls_refused_in_time(certificates, scripted_server, client):
    server = scripted_server([Shake(certificates.server("expired"))], [Pause(20)])
    one = client(server).ignores()
    one.http.setConnectTimeout(250)
    assert (one.get(), one.errors) == (("ConnectionRefused", b""), [])


def test_tls_other_certificate_in_the_second_handshake_is_the_one_shown(certificates, scripted_server, client):
    """What is asked about is the certificate of the connection that would be used."""
    server = scripted_server(answers(certificates.server("expired"), b"no"), answers(certificates.server("stranger"), b"ok"))
    one = client(server).asks()
    one.get()
    assert one.errors[0][0].certificate().toDer() == certificates.der("stranger")

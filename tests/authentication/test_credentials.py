"""Who is asked, how often, and what is sent then: setUser and authenticationRequired against one server."""
import pytest
from support.actions import Receive, ReceiveRequest, Send
from support.credentials import (
    BASIC,
    NEXT_NONCE,
    PASSWORD,
    REALM,
    USER,
    WRONG_PASSWORD,
    basic,
    digest,
    is_right_digest,
    refused,
    values,
)
from support.faults import BODY, whole

OK = whole()
REJECTED = "AuthenticationRequiredError"
RIGHT, WRONG = (USER, PASSWORD), (USER, WRONG_PASSWORD)


def script(*answers):
    return [action for answer in answers for action in (ReceiveRequest(), Send(answer))]


def sent(server):
    return [request for requests in server.requests for request in requests]


def answers_of(server):
    return [values(request) for request in sent(server)]


@pytest.mark.parametrize("challenge", [BASIC, digest()], ids=["basic", "digest"])
@pytest.mark.parametrize("by_slot", [False, True], ids=["set_user", "slot"])
def test_credentials_right_from_the_start_gets_the_body(scripted_server, client, challenge, by_slot):
    server = scripted_server(script(refused(challenge), OK))
    c = client(server, answers=[RIGHT] if by_slot else [])
    if not by_slot:
        c.http.setUser(*RIGHT)
    assert c.get("/a?b") == ("NoError", BODY)
    first, second = sent(server)
    assert values(first) == []
    assert values(second) == [basic()] if challenge == BASIC else is_right_digest(second)
    assert c.asked == ([(server.host, server.port, REALM, "")] if by_slot else [])
    assert c.statuses == [200]


def test_credentials_second_request_sends_them_at_once(scripted_server, client):
    server = scripted_server(script(refused(), OK, OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert [c.get(), c.get("/b")] == [("NoError", BODY)] * 2
    assert answers_of(server) == [[], [basic()], [basic()]]


def test_credentials_second_digest_counts_the_nonce_up(scripted_server, client):
    server = scripted_server(script(refused(digest()), OK, OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert [c.get(), c.get("/b")] == [("NoError", BODY)] * 2
    assert all(map(is_right_digest, sent(server)[1:]))
    assert [f"nc=0000000{n}" in found[0] for n, found in enumerate(answers_of(server)[1:], 1)] == [True, True]


@pytest.mark.parametrize("challenge", [BASIC, digest()], ids=["basic", "digest"])
def test_credentials_set_user_wrong_and_no_slot_is_the_error(scripted_server, client, challenge):
    server = scripted_server(script(refused(challenge), refused(challenge)))
    c = client(server)
    c.http.setUser(*WRONG)
    assert c.get() == (REJECTED, b"")
    assert c.http.errorString() == "Authentication required"
    assert (len(sent(server)), len(c.asked)) == (2, 1)


def test_credentials_slot_repeats_the_same_wrong_ones_is_the_error(scripted_server, client):
    server = scripted_server(script(*[refused()] * 5))
    c = client(server, answers=[WRONG] * 9)
    assert c.get() == (REJECTED, b"")
    assert c.http.errorString() == "Authentication required"
    assert (answers_of(server), len(c.asked)) == ([[], [basic(*WRONG)]], 2)


def test_credentials_slot_alternates_between_wrong_ones_is_the_error(scripted_server, client):
    other = USER, "another"
    server = scripted_server(script(*[refused()] * 9))
    c = client(server, answers=[WRONG, other] * 5)
    assert c.get() == (REJECTED, b"")
    assert answers_of(server) == [[], [basic(*WRONG)], [basic(*other)]]


def test_credentials_slot_without_an_answer_is_the_error(scripted_server, client):
    server = scripted_server(script(refused()))
    c = client(server)
    assert c.get() == (REJECTED, b"")
    assert (len(sent(server)), len(c.asked)) == (1, 1)


def test_credentials_slot_changes_until_right_one_signal_for_each(scripted_server, client):
    tries = [(USER, str(n)) for n in range(4)] + [RIGHT]
    server = scripted_server(script(*[refused()] * 5, OK))
    c = client(server, answers=tries)
    assert c.get() == ("NoError", BODY)
    assert answers_of(server) == [[]] + [[basic(*given)] for given in tries]
    assert [user for *_, user in c.asked] == [""] + [USER] * 4
    assert c.statuses == [200]


def test_credentials_slot_corrects_set_user(scripted_server, client):
    server = scripted_server(script(refused(), refused(), OK, OK))
    c = client(server, answers=[RIGHT])
    c.http.setUser(*WRONG)
    assert [c.get(), c.get()] == [("NoError", BODY)] * 2
    assert answers_of(server) == [[], [basic(*WRONG)], [basic()], [basic()]]
    assert [user for *_, user in c.asked] == [USER]


def test_credentials_rejected_not_sent_unasked_again(scripted_server, client):
    server = scripted_server(script(refused(), refused()), script(OK))
    c = client(server)
    c.http.setUser(*WRONG)
    assert c.get() == (REJECTED, b"")
    assert c.get() == ("NoError", BODY)
    assert answers_of(server)[-1] == []


def test_credentials_second_slot_finds_what_the_first_has_set(scripted_server, client):
    server = scripted_server(script(refused(), OK))
    c = client(server, answers=[RIGHT])
    seen = []
    c.http.authenticationRequired.connect(lambda host, port, authenticator: seen.append(authenticator.user()))
    assert c.get() == ("NoError", BODY)
    assert seen == [USER]


def test_credentials_slot_raises_request_fails_and_run_tells(scripted_server, client):
    server = scripted_server(script(refused()))
    c = client(server, answers=[lambda authenticator: 1 // 0])
    c.http.get("/")
    with pytest.raises(ZeroDivisionError):
        c.http.waitForDone(4000)
    c.http.waitForDone(4000)
    assert c.http.error().name == REJECTED
    assert c.told.of("done") == [True]


def test_credentials_signals_blocked_is_the_error(scripted_server, client):
    server = scripted_server(script(refused()))
    c = client(server, answers=[RIGHT])
    c.http.blockSignals(True)
    assert c.get() == (REJECTED, b"")


def test_credentials_empty_user_with_password_is_sent(scripted_server, client):
    server = scripted_server(script(refused(), OK))
    c = client(server)
    c.http.setUser("", PASSWORD)
    assert c.get() == ("NoError", BODY)
    assert answers_of(server)[1] == [basic("", PASSWORD)]


def test_credentials_set_user_anew_replaces_the_first_ones(scripted_server, client):
    server = scripted_server(script(refused(), OK, OK, refused(), OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    c.get()
    c.http.setUser("other", "word")
    assert c.get() == ("NoError", BODY)
    assert c.get() == ("NoError", BODY)
    assert answers_of(server)[-2:] == [[], [basic("other", "word")]]


# -- what the signals tell
def test_credentials_repeat_states_and_send_progress_as_recorded(scripted_server, client):
    server = scripted_server(script(refused(), OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    c.get()
    assert c.told.states == ["Connecting", "Sending", "Reading", "Sending", "Reading", "Connected"]
    assert c.told.of("dataSendProgress") == [(len(request), len(request)) for request in sent(server)]
    assert c.told.of("dataReadProgress") == [(len(BODY), len(BODY))]
    assert len(c.told.finished) == 2


def test_credentials_last_response_in_the_slot_is_the_401(scripted_server, client):
    server = scripted_server(script(refused(), OK))
    seen = []
    c = client(server)
    c.http.authenticationRequired.connect(lambda *_: seen.append(c.http.lastResponse().statusCode()))
    c.answers = [RIGHT]
    c.get()
    assert (seen, c.http.lastResponse().statusCode()) == ([401], 200)


def test_credentials_not_solved_last_response_is_the_401(scripted_server, client):
    server = scripted_server(script(refused()))
    c = client(server)
    c.get()
    assert c.http.lastResponse().statusCode() == 401
    assert (c.statuses, c.told.of("readyRead"), c.told.of("dataReadProgress")) == ([], [], [])
    assert c.told.states == ["Connecting", "Sending", "Reading", "Closing", "Unconnected"]


# -- texts
@pytest.mark.parametrize("user, password", [("fränz", "pässword"), ("ÿ", "\xa0")])
def test_credentials_latin_1_sent_as_such(scripted_server, client, user, password):
    server = scripted_server(script(refused(), OK))
    c = client(server)
    c.http.setUser(user, password)
    assert c.get() == ("NoError", BODY)
    assert answers_of(server)[1] == [basic(user, password)]


def test_credentials_outside_latin_1_sent_as_utf_8(scripted_server, client):
    server = scripted_server(script(refused(), OK))
    c = client(server)
    c.http.setUser("fränz", "密码")
    assert c.get() == ("NoError", BODY)
    assert answers_of(server)[1] == [basic(*(text.encode().decode("latin-1") for text in ("fränz", "密码")))]


def test_credentials_digest_latin_1_user_is_right(scripted_server, client):
    server = scripted_server(script(refused(digest()), OK))
    c = client(server)
    c.http.setUser("fränz", "pässword")
    assert c.get() == ("NoError", BODY)
    assert is_right_digest(sent(server)[1], "fränz", "pässword")


@pytest.mark.parametrize("user", ["a:b", "a\nb", "a\rX-Injected: 1", "\ud800"])
def test_credentials_basic_cannot_carry_them_is_an_error_without_them(scripted_server, client, user):
    server = scripted_server(script(refused()))
    c = client(server)
    c.http.setUser(user, PASSWORD)
    assert c.get() == (REJECTED, b"")
    assert len(sent(server)) == 1
    assert PASSWORD not in c.http.errorString() and user not in c.http.errorString()
    assert c.http.errorString() != "Authentication required"


def test_credentials_user_with_colon_goes_by_digest(scripted_server, client):
    server = scripted_server(script(refused(BASIC, digest()), OK))
    c = client(server)
    c.http.setUser("a:b", PASSWORD)
    assert c.get() == ("NoError", BODY)
    assert values(sent(server)[1])[0].startswith('Digest username="a:b"')


def test_credentials_shown_nowhere(scripted_server, client):
    server = scripted_server(script(refused(), refused()))
    shown = []
    c = client(server, answers=[lambda authenticator: shown.append(repr(authenticator))])
    c.http.setUser("someuser", "somesecret")
    c.get()
    shown += [repr(c.http), str(c.http), c.http.errorString(), repr(c.http.lastResponse()), c.http.currentRequest().toString()]
    assert len(shown) == 6
    assert not [text for text in shown if "someuser" in text or "somesecret" in text]


def test_credentials_current_request_shows_no_authorization(scripted_server, client):
    server = scripted_server(script(refused(), OK))
    c = client(server)
    seen = []
    c.http.responseHeaderReceived.connect(lambda _: seen.append(c.http.currentRequest().hasKey("Authorization")))
    c.http.setUser(*RIGHT)
    c.get()
    assert seen == [False]


# -- challenges
@pytest.mark.parametrize("challenge", [b"Bearer realm=x", b"", b"Unknown", b"=", b'Digest realm="', b"Digest realm=x",
                                       b'Digest realm="r", nonce="n", algorithm=SHA3',
                                       b'Digest realm="r", nonce="n", qop="auth-int"'])
def test_challenge_unusable_is_an_error_that_says_so(scripted_server, client, challenge):
    server = scripted_server(script(refused(challenge)))
    c = client(server, answers=[RIGHT])
    assert c.get() == (REJECTED, b"")
    assert (c.http.errorString(), c.asked, len(sent(server))) == ("Unknown authentication method", [], 1)


def test_challenge_missing_is_an_error_that_says_so(scripted_server, client):
    server = scripted_server(script(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert c.get() == (REJECTED, b"")
    assert c.http.errorString() == "Unknown authentication method"


@pytest.mark.parametrize("challenges", [(BASIC, digest()), (digest(), BASIC), (BASIC + b", " + digest(),),
                                        (b"Bearer", BASIC, digest())])
def test_challenge_several_strongest_taken(scripted_server, client, challenges):
    server = scripted_server(script(refused(*challenges), OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert c.get() == ("NoError", BODY)
    assert is_right_digest(sent(server)[1])


@pytest.mark.parametrize("challenge", [b"basic REALM=x", b"BASIC", b"Basic realm=a, ,", b"Foo bar==, Basic realm=x"])
def test_challenge_odd_but_usable_answered(scripted_server, client, challenge):
    server = scripted_server(script(refused(challenge), OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert c.get() == ("NoError", BODY)
    assert answers_of(server)[1] == [basic()]


def test_challenge_stale_nonce_renewed_without_asking(scripted_server, client):
    server = scripted_server(script(refused(digest()), OK, refused(digest(b"n7", b"stale=true")), OK))
    c = client(server, answers=[RIGHT])
    assert [c.get(), c.get()] == [("NoError", BODY)] * 2
    assert 'nonce="n7"' in answers_of(server)[3][0] and is_right_digest(sent(server)[3])
    assert len(c.asked) == 1


def test_challenge_stale_for_ever_comes_to_an_end(scripted_server, client):
    server = scripted_server(script(*[refused(digest(b"%d" % n, b"stale=true")) for n in range(40)]))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert c.get() == (REJECTED, b"")
    assert len(sent(server)) < 12


def test_challenge_next_nonce_used(scripted_server, client):
    info = b'Authentication-Info: nextnonce="%b"' % NEXT_NONCE
    server = scripted_server(script(refused(digest()), whole(BODY, info), OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert [c.get(), c.get()] == [("NoError", BODY)] * 2
    assert 'nonce="n1"' in answers_of(server)[2][0] and is_right_digest(sent(server)[2])


def test_challenge_scheme_changes_between_requests_followed(scripted_server, client):
    server = scripted_server(script(refused(), OK, refused(digest()), OK))
    c = client(server, answers=[RIGHT, RIGHT])
    assert c.get() == ("NoError", BODY)
    assert c.get()[0] in ("NoError", REJECTED)
    assert len(sent(server)) <= 4


@pytest.mark.parametrize("target", ["/a%20b?c=%C3%A4&d", "/?q=\"x\\y\"", "/~,;=:@!$'()*+"])
def test_challenge_digest_of_odd_targets_is_right(scripted_server, client, target):
    server = scripted_server(script(refused(digest()), OK))
    c = client(server)
    c.http.setUser(*RIGHT)
    assert c.get(target) == ("NoError", BODY)
    request = sent(server)[1]
    assert request.split(b" ")[1] == target.encode()
    if '"' not in target:
        assert is_right_digest(request)


def test_answer_401_split_at_every_byte_answered(scripted_server, client):
    data = refused(body=b"abc")
    server = scripted_server([ReceiveRequest(), Send(data, cuts=tuple(range(1, len(data)))), ReceiveRequest(), Send(OK)])
    c = client(server)
    c.http.setUser(*RIGHT)
    assert c.get() == ("NoError", BODY)


def test_answer_407_without_a_proxy_is_an_error_and_sends_nothing(scripted_server, client):
    page = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"
    server = scripted_server([*script(page), Receive(1)])
    c = client(server, proxy_answers=[RIGHT])
    c.http.setUser(*RIGHT)
    assert c.get() == ("ProxyAuthenticationRequiredError", b"")
    assert (c.asked, c.asked_by_proxy, len(sent(server))) == ([], [], 1)

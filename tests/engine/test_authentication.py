"""Party and Parties: what is sent to whom, when the user is asked, and that nothing goes on for ever."""
import re
import sys

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from qhttp.engine.authentication import (
    AGAIN,
    ASK,
    MAX_PARTIES,
    MAX_REJECTED,
    MAX_REPEATS,
    NO_EDITION,
    UNKNOWN,
    Parties,
    Party,
)

BASIC = ['Basic realm="the realm"']
JOE, WRONG = "Basic am9lOnNlY3JldA==", "Basic am9lOndyb25n"


def digest(nonce, more="", realm="dr"):
    return [f'Digest realm="{realm}", nonce="{nonce}", qop=auth{more}']


def party_with(user="joe", password="secret"):
    party = Party("h.example")
    party.set_credentials(user, password)
    return party


def ask(party):
    return party.value("GET", "/s")


# -- before and after the first challenge
def test_party_before_a_challenge_sends_nothing():
    assert ask(party_with()) is None


def test_party_with_credentials_answers_silently_and_then_unasked():
    party = party_with()
    assert party.challenged(BASIC) == AGAIN
    assert (party.realm, party.scheme.name) == ("the realm", "Basic")
    assert ask(party) == ask(party) == JOE


def test_party_without_credentials_asks_and_repeats_with_the_answer():
    party = Party()
    assert party.challenged(BASIC) == ASK
    assert party.realm == "the realm"
    assert ask(party) is None
    assert party.answered("joe", "secret") is True
    assert ask(party) == JOE


@pytest.mark.parametrize("answer", [("", ""), (None, None)])
def test_party_without_an_answer_gives_up(answer):
    party = Party()
    assert party.challenged(BASIC) == ASK
    assert party.answered(*answer) is False
    assert ask(party) is None


@pytest.mark.parametrize("values", [[], ["Unknown"], ["Bearer x"], ['Digest realm="x", nonce="y", qop="auth-int"'], ['"']])
def test_party_without_a_usable_challenge_says_unknown_and_keeps_its_credentials(values):
    party = party_with()
    assert party.challenged(values) == UNKNOWN
    assert party.challenged(BASIC) == AGAIN
    assert ask(party) == JOE


# -- rejected
def test_party_rejected_credentials_are_asked_for_and_the_same_are_no_answer():
    party = party_with(password="wrong")
    party.challenged(BASIC)
    assert ask(party) == WRONG
    assert party.challenged(BASIC) == ASK
    assert party.answered("joe", "wrong") is False
    assert ask(party) is None       # they were rejected: not sent again unasked
    assert party.challenged(BASIC) == ASK


def test_party_answers_that_change_are_tried_until_right():
    party = Party()
    for n in range(1, 50):
        assert party.challenged(BASIC) == ASK
        assert party.answered(f"u{n}", f"p{n}") is True
        assert ask(party) is not None
    party.accepted()
    assert ask(party) is not None


def test_party_two_wrong_answers_in_turn_end():
    party = Party()
    answers = [("a", "1"), ("b", "2")]
    went_on = []
    for n in range(4):
        assert party.challenged(BASIC) == ASK
        went_on.append(party.answered(*answers[n % 2]))
        ask(party)
    assert went_on == [True, True, False, False]


def test_party_accepted_credentials_forget_what_was_rejected():
    """/admin wants another user than /: neither is wrong for ever."""
    party = party_with("joe")
    party.challenged(BASIC)
    ask(party)
    party.accepted()
    ask(party)
    assert party.challenged(BASIC) == ASK and party.answered("admin", "x") is True
    ask(party)
    party.accepted()
    ask(party)
    assert party.challenged(BASIC) == ASK and party.answered("joe", "secret") is True
    assert ask(party) == JOE


def test_party_credentials_rejected_by_one_request_still_serve_the_others():
    party = party_with()
    party.challenged(BASIC)
    ask(party)
    party.accepted()
    assert party.challenged(BASIC) == ASK and party.answered("joe", "secret") is False
    assert party.challenged(BASIC) == AGAIN
    assert ask(party) == JOE


def test_party_rejected_credentials_remembered_are_bounded():
    party = Party()
    for n in range(MAX_REJECTED * 2):
        party.challenged(BASIC)
        party.answered("u", str(n))
        ask(party)
    assert len(party._rejected) == MAX_REJECTED


def test_party_same_credentials_set_again_are_tried_once_more():
    party = party_with(password="wrong")
    party.challenged(BASIC)
    ask(party)
    assert party.challenged(BASIC) == ASK and party.answered("", "") is False
    party.set_credentials("joe", "wrong")
    assert ask(party) is None
    assert party.challenged(BASIC) == AGAIN
    assert ask(party) == WRONG


def test_party_same_credentials_set_while_asked_are_not_tried_for_ever():
    party = party_with(password="wrong")
    party.challenged(BASIC)
    ask(party)
    assert party.challenged(BASIC) == ASK
    party.set_credentials("joe", "wrong")
    assert party.answered("joe", "wrong") is False


def test_party_same_credentials_set_again_keep_the_scheme():
    party = party_with()
    party.challenged(digest("n1"))
    ask(party)
    party.set_credentials("joe", "secret")
    assert "nc=00000002" in ask(party)


def test_party_other_credentials_forget_the_scheme():
    party = party_with()
    party.challenged(BASIC)
    party.set_credentials("eve", "secret")
    assert party.scheme is None and ask(party) is None
    party.set_credentials(None, None)
    assert party.challenged(BASIC) == ASK


# -- credentials that a scheme cannot carry
def test_party_credentials_that_cannot_be_sent_are_asked_for_with_the_problem():
    party = party_with("jo:e")
    assert party.challenged(BASIC) == ASK
    assert "colon" in party.problem and "jo" not in party.problem
    assert ask(party) is None
    assert party.answered("e:ve", "secret") is False and "colon" in party.problem
    assert party.challenged(BASIC) == ASK
    assert party.answered("joe", "secret") is True and party.problem == ""
    assert ask(party) == JOE


def test_party_scheme_that_cannot_carry_the_credentials_is_passed_over():
    party = party_with("\n")
    assert party.challenged([*digest("n1"), *BASIC]) == ASK
    assert party.problem != ""


# -- Digest
def test_party_stale_nonce_is_repeated_silently_but_not_for_ever():
    party = party_with()
    verdicts = []
    for n in range(MAX_REPEATS + 1):
        verdicts.append(party.challenged(digest(f"n{n}", ", stale=true")))
        ask(party)
    assert verdicts == [AGAIN] * MAX_REPEATS + [ASK]
    assert party.answered("joe", "secret") is False
    assert party.challenged(digest("m")) == ASK
    assert party.answered("joe", "other") is True


def test_party_stale_nonce_with_successes_between_is_repeated_for_ever():
    party = party_with()
    for n in range(MAX_REPEATS * 5):
        assert party.challenged(digest(f"n{n}", ", stale=true")) == AGAIN
        assert f'nonce="n{n}"' in ask(party)
        party.accepted()


def test_party_realm_of_another_part_of_the_origin_is_answered_silently():
    party = party_with()
    for realm in ("a", "b", "a", "b"):
        assert party.challenged(digest("n", realm=realm)) == AGAIN
        assert f'realm="{realm}"' in ask(party)
        party.accepted()
    assert party.realm == "b"


def test_party_nonce_of_the_rejection_is_that_of_the_answer():
    party = party_with(password="wrong")
    party.challenged(digest("n1"))
    ask(party)
    assert party.challenged(digest("n2")) == ASK
    assert party.answered("joe", "secret") is True
    assert 'nonce="n2"' in ask(party) and "nc=00000002" in ask(party)


def test_party_nextnonce_is_taken():
    party = party_with()
    party.challenged(digest("n1"))
    ask(party)
    party.accepted('nextnonce="n2"')
    assert 'nonce="n2"' in ask(party)


# -- one party, several connections
def test_party_challenge_to_a_request_without_a_value_is_no_rejection():
    party = party_with()
    assert party.challenged(BASIC, NO_EDITION) == AGAIN
    assert ask(party) == JOE
    for _ in range(64):
        assert party.challenged(BASIC, NO_EDITION) == AGAIN       # lanes that started before the first answer came
    assert party.challenged(BASIC, party.edition) == ASK


def test_party_challenge_to_older_credentials_is_no_rejection_of_the_new():
    party = party_with(password="wrong")
    party.challenged(BASIC, NO_EDITION)
    ask(party)
    old = party.edition
    assert party.challenged(BASIC, old) == ASK and party.answered("joe", "secret") is True
    assert party.challenged(BASIC, old) == AGAIN
    assert ask(party) == JOE


def test_party_stale_nonce_of_many_requests_is_replaced_once():
    party = party_with()
    party.challenged(digest("n1"), NO_EDITION)
    ask(party)
    old = party.edition
    for n in range(64):
        assert party.challenged(digest(f"m{n}", ", stale=true"), old) == AGAIN
    assert 'nonce="m0"' in ask(party)


def test_party_success_of_a_request_without_a_value_says_nothing():
    party = party_with(password="wrong")
    party.challenged(BASIC)
    ask(party)
    assert party.challenged(BASIC) == ASK
    party.accepted("", NO_EDITION)
    party.accepted()
    assert ask(party) is None


# -- schemes of a connection
@pytest.fixture
def ntlm(tmp_path, monkeypatch):
    """Plays one connection against an acceptor that knows joe: ntlm(party, password) -> verdicts; the last is "ok" or not."""
    spnego = pytest.importorskip("spnego")
    users = tmp_path / "users"
    users.write_text(":joe:secret\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))

    def play(party, name="NTLM"):
        from base64 import b64decode, b64encode
        server, values, verdicts = spnego.server(protocol=name.lower()), [name], []
        while not verdicts or verdicts[-1] == AGAIN:
            value = ask(party)
            if value is not None:
                try:
                    token = server.step(b64decode(value.split()[1]))
                    values = [f"{name} {b64encode(token or b'').decode()}"]
                except spnego.exceptions.SpnegoError:
                    server, values = spnego.server(protocol=name.lower()), [name]
                if server.complete:
                    party.accepted()
                    return [*verdicts, "ok"]
            verdicts.append(party.challenged(values))
        return verdicts
    return play


@pytest.mark.parametrize("name", ["NTLM", "Negotiate"])
def test_party_ntlm_is_done_once_a_connection(ntlm, name):
    party = party_with()
    for _ in range(MAX_REPEATS):
        assert ntlm(party, name) == [AGAIN, AGAIN, "ok"]
        assert ask(party) is ask(party) is None
        party.connection_changed()


def test_party_ntlm_server_that_asks_again_on_the_same_connection_gets_all_legs(ntlm):
    party = party_with()
    assert ntlm(party) == ntlm(party) == [AGAIN, AGAIN, "ok"]


@pytest.mark.parametrize("name", ["NTLM", "Negotiate"])
def test_party_ntlm_wrong_password_is_asked_for_once(ntlm, name):
    party = party_with(password="wrong")
    assert ntlm(party, name) == [AGAIN, AGAIN, ASK]
    assert party.answered("joe", "wrong") is False
    assert party.challenged([name]) == ASK
    assert party.answered("joe", "secret") is True
    assert ntlm(party, name)[-1] == "ok"


def test_party_ntlm_connection_that_closes_with_the_challenge_begins_on_the_next(ntlm):
    party = party_with()
    assert party.challenged(["NTLM"]) == AGAIN
    party.connection_changed()
    assert ntlm(party) == [AGAIN, "ok"]


def test_party_ntlm_connection_that_closes_each_time_ends():
    pytest.importorskip("spnego")
    party = party_with()
    verdicts = []
    for _ in range(MAX_REPEATS + 1):
        verdicts.append(party.challenged(["NTLM"]))
        party.connection_changed()
        ask(party)
        party.connection_changed()
    assert verdicts == [AGAIN] * MAX_REPEATS + [ASK]
    assert party.answered("joe", "secret") is False


def test_party_negotiate_that_the_server_does_not_go_on_with_gives_way_to_the_next():
    pytest.importorskip("spnego")
    party = party_with()
    assert party.challenged(["Negotiate", *BASIC]) == AGAIN
    assert ask(party).startswith("Negotiate ")
    assert party.challenged(["Negotiate", *BASIC]) == AGAIN
    assert ask(party) == JOE
    assert party.challenged(["Negotiate", *BASIC]) == ASK


def test_party_negotiate_alone_that_is_refused_is_asked_for():
    pytest.importorskip("spnego")
    party = party_with()
    party.challenged(["Negotiate"])
    ask(party)
    assert party.challenged(["Negotiate"]) == ASK
    assert party.answered("joe", "secret") is False


def test_party_negotiate_that_cannot_begin_gives_way_to_the_next(monkeypatch):
    spnego = pytest.importorskip("spnego")
    monkeypatch.setattr(spnego, "client", None)
    party = party_with()
    assert party.challenged(["Negotiate, NTLM", *BASIC]) == AGAIN
    assert ask(party) == JOE
    assert party_with().challenged(["Negotiate"]) == ASK


def test_party_without_pyspnego_takes_what_is_left(monkeypatch):
    monkeypatch.setitem(sys.modules, "spnego", None)
    party = party_with()
    assert party.challenged(["NTLM"]) == UNKNOWN
    assert party.challenged(["NTLM", *BASIC]) == AGAIN
    assert ask(party) == JOE


def test_party_connection_changed_leaves_other_schemes_alone():
    party = party_with()
    party.connection_changed()
    party.challenged(BASIC)
    party.connection_changed()
    assert ask(party) == JOE


# -- the store
A, B = ("http", "a.example", 80), ("http", "b.example", 80)


def test_parties_pending_credentials_are_those_of_the_first_origin_only():
    parties = Parties()
    parties.bind("joe", "secret")
    assert parties.for_origin(A).challenged(BASIC) == AGAIN
    assert ask(parties.for_origin(A)) == JOE
    for key in (B, ("https", *A[1:]), (*A[:2], 8080)):
        assert parties.for_origin(key).user == ""
        assert parties.for_origin(key).challenged(BASIC) == ASK
    assert ask(parties.for_origin(A)) == JOE


def test_parties_credentials_bound_again_are_those_of_the_next_origin():
    parties = Parties()
    for key, user in ((A, "joe"), (B, "eve")):
        parties.bind(user, "x")
        parties.for_origin(key)
    assert [parties.for_origin(key).user for key in (A, B)] == ["joe", "eve"]
    parties.bind(None, None)
    assert [parties.for_origin(key).user for key in (A, B)] == ["", "eve"]


def test_parties_least_used_one_is_forgotten():
    parties = Parties(max_parties=2)
    parties.bind("joe", "secret")
    parties.for_origin(A)
    parties.for_origin(B)
    parties.for_origin(A)
    parties.for_origin(("http", "c.example", 80))
    assert parties.for_origin(A).user == "joe"
    for n in range(MAX_PARTIES):
        parties.for_origin(("http", "n.example", n))
    assert len(parties._parties) == 2


# -- for any server and any user
class AnyServerAndUser(RuleBasedStateMachine):
    """Whatever the server says, in any order: nothing before a challenge, nothing rejected is sent, every request ends."""

    def __init__(self):
        super().__init__()
        self.party = Party()
        self.was_challenged = False

    values = st.lists(st.sampled_from([*BASIC, *digest("n1"), *digest("n2", ", stale=true"), *digest("n3", realm="x"),
                                       'Digest realm="dr", nonce="n4", algorithm=SHA-256, stale=true', "Unknown", '"']),
                      max_size=3)
    users = st.sampled_from(["", "#joe#", "#e:ve#", "#\n#"])
    passwords = st.sampled_from(["", "#secret#", "#wrong#"])

    @rule(user=users, password=passwords)
    def set_credentials(self, user, password):
        self.party.set_credentials(user, password)

    @rule(values=st.lists(values, min_size=1, max_size=4), user=users, password=passwords, is_stubborn=st.booleans())
    def request(self, values, user, password, is_stubborn):
        """A server that never accepts, a user who always says the same."""
        for n in range(2 * MAX_REPEATS + 4):
            value = ask(self.party)
            assert value is None or self.was_challenged
            verdict = self.party.challenged(values[n % len(values)])
            self.was_challenged = True
            if verdict == UNKNOWN:
                return
            if verdict == ASK:
                if is_stubborn:
                    self.party.set_credentials(user, password)
                if not self.party.answered(user, password):
                    assert ask(self.party) is None
                    return
        raise AssertionError("the request never ends")

    @rule(info=st.sampled_from(["", 'nextnonce="n9"', '"']))
    def success(self, info):
        ask(self.party)
        self.party.accepted(info)

    @rule()
    def connection_changed(self):
        self.party.connection_changed()

    @invariant()
    def shows_no_credential(self):
        shown = f"{self.party!r} {self.party.scheme!r} {self.party.problem!r} {Parties()!r}"
        assert not re.search("joe|ve#|secret|wrong", shown)


def test_party_any_server_and_any_user_come_to_an_end():
    run_state_machine_as_test(AnyServerAndUser, settings=settings(max_examples=100, stateful_step_count=20, deadline=None))

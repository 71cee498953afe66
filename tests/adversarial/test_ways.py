"""The ways are what they say: what a client sends and gets on each, what is not played, and a long run in small."""
import json

import pytest
from support.certificate import make_certificate

from adversarial import campaign
from adversarial.corpus import DEFAULTS, cases
from adversarial.judge import judge_all
from adversarial.lines import N_BEHIND, Line
from adversarial.play import Player
from adversarial.ways import ASKERS, ROUTES, WAYS, ways_like, why_not

HELLO = {"send": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"}
UNTIL_CLOSE = {"send": "HTTP/1.1 200 OK\r\n\r\nhello"}
PIPELINED = [way for way in WAYS if way.startswith("pipelined")]


def case(*steps, **fields):
    good = {"id": "made-up", "expect": "ok", "status": 200, "body": "hello", "probe": True}
    return DEFAULTS | good | {"server": list(steps)} | fields


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Plays a case on a way in this process: (its faults, what was seen)."""
    pem = make_certificate(tmp_path_factory.mktemp("certificate"))
    players = {}

    def play(way, made):
        if way not in players:
            players[way] = Player(way, pem)
        played, observations = players[way].play(made, "whole")
        return judge_all(played, observations), observations[0]
    return play


def first_lines(seen):
    return [head.partition(b"\r\n")[0].decode() for connection in seen.connections for head in connection.heads]


@pytest.mark.parametrize("way", WAYS)
def test_way_good_answer_is_accepted_and_what_is_else_is_found(way, played):
    assert played(way, case(HELLO))[0] == []
    assert played(way, case(HELLO, body="other"))[0] == ["wrong: body of 5 bytes b'hello'"]
    assert played(way, case(HELLO, {"close": True}, expect="error"))[0] == ["wrong: accepted: 200, 5 bytes b'hello'"]


@pytest.mark.parametrize("route", ROUTES)
def test_route_request_has_the_form_that_belongs_there(route, played):
    _, seen = played(f"client-{route}", case(HELLO, probe=False))
    [line] = first_lines(seen)
    origin = "http://127.0.0.1:" if route == "proxy" else "/case"
    assert line.startswith(f"GET {origin}") and line.endswith("/case HTTP/1.1")


@pytest.mark.parametrize("route", ["tls", "tunnel"])
@pytest.mark.parametrize("end, is_whole", [("close", True), ("reset", False)])
def test_tls_close_is_a_proper_end_and_reset_is_none(route, end, is_whole, played):
    faults, _ = played(f"qhttp-{route}", case(UNTIL_CLOSE, {end: True}))
    assert (faults == []) is is_whole


@pytest.mark.parametrize("way", PIPELINED)
def test_pipelined_requests_behind_are_under_way_when_the_answer_comes(way, played):
    """The server answers none of them before it has all of them."""
    answers = [{"send": f"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nprobe-behind-{number}"} for number in range(N_BEHIND)]
    faults, seen = played(way, case(*[{"await": "head"}] * N_BEHIND, HELLO, *answers))
    assert faults == []
    assert [beside.path for beside in seen.replies[0].beside] == ["/probe-0", "/probe-1", "/probe-behind-0", "/probe-behind-1"]
    assert len(seen.connections) == 1


@pytest.mark.parametrize("way", PIPELINED)
def test_pipelined_wrong_answer_to_a_request_behind_is_found(way, played):
    faults, _ = played(way, case({"await": "head"}, HELLO, HELLO))
    assert any("POISONED: the reply to /probe-behind-0" in fault for fault in faults)


@pytest.mark.parametrize("way", PIPELINED)
def test_pipelined_connection_lost_behind_the_answer_requests_behind_are_answered(way, played):
    assert played(way, case(HELLO, {"close": True}, connection_reusable=False))[0] == []


@pytest.mark.parametrize("steps, method, n_behind, may_fail", [
    ([HELLO], "GET", N_BEHIND, False),
    ([HELLO, {"close": True}], "GET", N_BEHIND, False),
    ([{"send": HELLO["send"] * 2}], "GET", 0, True),                                # a second answer
    ([HELLO, {"sleep_ms": 1}, HELLO], "GET", 0, True),
    ([HELLO, {"await": "head"}, HELLO], "GET", N_BEHIND, False),                    # it is asked for
    ([{"send": HELLO["send"] + "HTTP/1.1 100 Continue\r\n\r\n"}], "GET", 0, True),
    ([{"send": "HTTP/1.1 205 Reset\r\n\r\n\n"}], "GET", N_BEHIND, True),
    ([{"send": HELLO["send"] + "X"}], "GET", N_BEHIND, True),
    ([HELLO], "HEAD", N_BEHIND, True),
    ([UNTIL_CLOSE, HELLO, {"close": True}], "GET", N_BEHIND, False),
    ([{"send": "HTTP/1.1 100 Continue\r\n\r\n" + HELLO["send"]}], "GET", N_BEHIND, False),
    ([{"send": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"}], "GET", N_BEHIND, False),
    ([{"send": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nX"}], "GET", N_BEHIND, True),
    ([{"send": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabX"}], "GET", N_BEHIND, True),
    ([{"send": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 5\r\n\r\nhello"}], "GET", N_BEHIND, True),
    ([HELLO, {"drain_ms": 1}], "GET", 0, False),
])
def test_line_what_is_behind_the_answer_decides(steps, method, n_behind, may_fail):
    assert Line.of(case(*steps, method=method)) == Line(n_behind, may_fail)


def test_why_not_each_case_is_played_by_somebody_and_all_but_few_by_all():
    left_out = {name: [way for way in WAYS.values() if why_not(way, made)] for name, made in cases().items()}
    assert [name for name, ways in left_out.items() if len(ways) == len(WAYS)] == []
    assert sum(not ways for ways in left_out.values()) > 250


def test_ways_like_unknown_name_is_refused():
    with pytest.raises(ValueError, match="no way is called sctp"):
        ways_like(["qhttp-*", "sctp"])


def test_ways_each_asker_has_each_route():
    assert len(WAYS) == len(ASKERS) * len(ROUTES)


@pytest.mark.parametrize("body, status", [("hello", 0), ("other", 1)])
def test_campaign_status_says_whether_all_agree(body, status, tmp_path, monkeypatch, capsys):
    listed = tmp_path / "cases.json"
    listed.write_text(json.dumps([{"id": "made-up", "category": "made", "server": [HELLO], "expect": "ok", "body": body}]))
    arguments = ["--cases", str(listed), "--ways", "qhttp-direct", "client-tls", "--splits", "2", "--runs", "2"]
    monkeypatch.setattr("sys.argv", ["campaign", *arguments])
    assert campaign.main() == status
    out = capsys.readouterr().out
    assert f"{16 * status} of 16 plays wrong" in out and "client-tls" in out

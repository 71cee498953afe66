"""A part meets a server: each way to answer a Range request, with each kind of part, ends with a whole file or an error."""
import os
import threading

import pytest
from bulk.resume_servers import (
    ANEW,
    BEHAVIOURS,
    CONTINUED,
    EMPTY,
    HALF,
    LARGE,
    OTHER,
    OVERLAP,
    SMALL,
    STATES,
    TOO_LONG,
    UNKNOWN,
    WHOLE,
    Behaviour,
    ResumeServer,
    cut_once,
    download,
    honours,
    part_for,
    prepare,
)

PLAIN, CUT = Behaviour("honours", honours, {}), Behaviour("cut", cut_once, {})
pytestmark = pytest.mark.usefixtures("no_waits")


@pytest.mark.parametrize("size", [LARGE, SMALL], ids=["large", "small"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.name)
def test_part_ends_as_the_table_says(tmp_path, behaviour, state, size):
    with ResumeServer(behaviour, size) as server:
        part = prepare(state, server, tmp_path)
        outcome = download(server, tmp_path, retries=1)
    expected = behaviour.expected[state]
    assert outcome.how == expected
    assert outcome.is_whole == (expected in (CONTINUED, ANEW))
    assert outcome.part == (None if outcome.is_whole else part)         # an error page is never appended
    if state in (EMPTY, TOO_LONG, UNKNOWN) and behaviour.reply is not cut_once:
        assert outcome.n_ranges == 0 and outcome.n_fetched == size
    if expected == CONTINUED and behaviour.reply is not cut_once:
        assert outcome.n_kept == len(part) and outcome.n_fetched == size - len(part) + OVERLAP
        assert outcome.n_requests == 1
    if expected == ANEW and behaviour.reply is not cut_once:
        assert outcome.n_kept == 0


@pytest.mark.parametrize("state", [HALF, WHOLE])
def test_part_that_was_continued_is_not_fetched_again(tmp_path, state):
    with ResumeServer(PLAIN, LARGE) as server:
        prepare(state, server, tmp_path)
        assert download(server, tmp_path).how == CONTINUED
        again = download(server, tmp_path)
    assert again.n_requests == 0 and again.is_whole


@pytest.mark.parametrize("size", [LARGE, SMALL])
def test_answer_cut_once_more_keeps_what_both_tries_have_brought(tmp_path, size):
    with ResumeServer(CUT, size) as server:
        part = prepare(HALF, server, tmp_path)
        outcome = download(server, tmp_path, retries=1)
    first, second = server.asks
    n_first = (size - first.start) * 3 // 4
    assert first.start == len(part) - OVERLAP and first.if_range == second.if_range == '"present"'
    assert second.start == first.start + n_first - OVERLAP
    assert outcome.is_whole and outcome.n_kept == second.start + OVERLAP
    assert outcome.n_fetched == n_first + size - second.start


def test_run_that_fails_leaves_a_part_for_the_next_run(tmp_path):
    with ResumeServer(CUT, LARGE) as server:
        first = download(server, tmp_path, retries=0)
        assert first.how == "Truncated" and not first.is_whole
        assert first.part == server.present.content[:LARGE * 3 // 4]
        second = download(server, tmp_path, retries=0)
    assert second.is_whole and second.how == CONTINUED
    assert second.n_kept == len(first.part) and second.n_fetched == LARGE - len(first.part) + OVERLAP


def test_error_page_for_a_range_does_not_cost_the_part(tmp_path):
    refusing = next(behaviour for behaviour in BEHAVIOURS if behaviour.name == "404 for a Range")
    with ResumeServer(refusing, LARGE) as server:
        part = prepare(HALF, server, tmp_path)
        assert download(server, tmp_path, retries=0).how == "HTTPStatusError"
        server.behaviour = PLAIN
        outcome = download(server, tmp_path, retries=0)
    assert outcome.is_whole and outcome.n_kept == len(part)


def test_part_that_is_opened_late_for_a_try_that_has_failed_is_not_the_next_try_s(tmp_path, monkeypatch):
    """The file thread is slow: the first try's part is opened when the second try is under way, which asks for one, too."""
    from qhttp.bulk import filed
    in_second_try, all_written, path = threading.Event(), threading.Event(), tmp_path / "file.part"
    calls, open_part = [], filed.open_part

    def slow_open_part(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            in_second_try.wait(5)
        elif path.stat().st_size < LARGE:
            all_written.wait(0.5)           # nobody sets it: time for the first one's descriptor to be written through
        return open_part(*arguments)

    def reply(version, ask):
        answer = honours(version, ask)
        answer.cut = 0 if ask.n == 0 else None
        return answer

    monkeypatch.setattr(filed, "open_part", slow_open_part)
    with ResumeServer(Behaviour("cut at once", reply, {}), LARGE) as server:
        outcome = download(server, tmp_path, lambda *_: in_second_try.set(), retries=1)
    assert outcome.n_requests == 2
    assert outcome.is_whole, f"{os.path.getsize(tmp_path / 'file')} of {LARGE} bytes"


@pytest.mark.parametrize("state", STATES)
def test_no_resume_fetches_all_without_asking_for_a_range(tmp_path, state):
    with ResumeServer(PLAIN, LARGE) as server:
        prepare(state, server, tmp_path)
        outcome = download(server, tmp_path, resume=False)
    assert outcome.is_whole and outcome.n_ranges == 0 and outcome.part is None


@pytest.mark.parametrize("state", STATES)
def test_part_of_another_inode_is_not_trusted(tmp_path, state):
    with ResumeServer(PLAIN, LARGE) as server:
        prepare(state, server, tmp_path)
        part, copy = tmp_path / "file.part", tmp_path / "copy"
        copy.write_bytes(part_for(state, server))
        copy.rename(part)
        outcome = download(server, tmp_path)
    assert outcome.is_whole and outcome.n_ranges == 0 and outcome.n_fetched == LARGE


@pytest.mark.parametrize("setting", [{"limit_rate": 1 << 40}, {"host_limit_rate": 1 << 40}])
@pytest.mark.parametrize("state", [HALF, WHOLE, OTHER])
@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.name)
def test_body_that_is_written_piece_by_piece_ends_as_the_table_says(tmp_path, behaviour, state, setting):
    with ResumeServer(behaviour, LARGE) as server:
        part = prepare(state, server, tmp_path)
        outcome = download(server, tmp_path, retries=1, **setting)
    assert outcome.how == behaviour.expected[state]
    assert outcome.part == (None if outcome.is_whole else part)
    assert outcome.is_whole == (outcome.how in (CONTINUED, ANEW))

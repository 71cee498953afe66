"""Files of nginx over faulty ways: whole in the end, by their SHA-256, and gone on with where they were cut."""
import hashlib

import pytest
from faults.fetching import FILES, HONEST_ERRORS, LARGE, LARGE_NAMES, SMALL_NAMES, fetch_files, limit_s, row
from support.fault_proxy import Plan
from support.way_faults import Cut, Drip, HalfClose, Refuse, Reset, Split, Stall, Wait

MIDDLE = LARGE // 2
ENDS = [Cut, Reset, Stall, HalfClose]


@pytest.mark.parametrize("end", ENDS)
def test_large_file_cut_midway_is_gone_on_with(way, nginx, tmp_path, end):
    faulty = way(Plan(down=[end(MIDDLE)]))
    seen = fetch_files([row(faulty, "large0")], tmp_path, idle_timeout=limit_s(end))
    transfer, = seen.finished
    assert faulty.struck == [end(MIDDLE)]
    assert seen.errors and all(isinstance(error, HONEST_ERRORS) for error in seen.errors)
    assert 0 < transfer.n_resumed <= MIDDLE and transfer.status == 206


@pytest.mark.parametrize("end", ENDS)
def test_large_file_cut_ten_times_is_whole(way, tmp_path, end):
    faulty = way(*[Plan(down=[end(60_000 + 1000 * n)]) for n in range(10)])
    transfer, = fetch_files([row(faulty, "large1")], tmp_path, idle_timeout=limit_s(end) / 2).finished
    assert transfer.n_retries >= 10
    assert hashlib.sha256(FILES["large1"]).hexdigest() == transfer.checksums["sha256"]


@pytest.mark.parametrize("at", [0, 1, 100, 260])
@pytest.mark.parametrize("end", [Cut, Reset])
def test_answer_cut_in_its_head_or_soon_after_is_fetched_again(way, tmp_path, end, at):
    faulty = way(Plan(down=[end(at)]))
    seen = fetch_files([row(faulty, "large2", with_checksum=False)], tmp_path)
    assert len(seen.finished) == 1 and faulty.struck == [end(at)]


@pytest.mark.parametrize("location", ["chunked", "plain"])
@pytest.mark.parametrize("plan", [Plan(down=[Split(0, 4000)]), Plan(down=[Drip(200, 60)]), Plan(up=[Split(0, 500)]),
                                  Plan(up=[Drip(0, 30)]), Plan(accept=Wait(0.02)),
                                  Plan(down=[Stall(0, 0.02), Stall(500, 0.02)])], ids=str)
def test_file_in_small_pieces_or_late_is_no_error(way, tmp_path, location, plan):
    faulty = way(plan, beyond=plan)
    seen = fetch_files([row(faulty, name, location, with_checksum=False) for name in SMALL_NAMES[-4:]], tmp_path, per_host=1)
    assert len(seen.finished) == 4 and seen.errors == [] and faulty.struck


@pytest.mark.parametrize("end", ENDS)
def test_chunked_file_cut_midway_is_fetched_again(way, tmp_path, end):
    faulty = way(Plan(down=[end(MIDDLE)]))
    seen = fetch_files([row(faulty, "large0", "chunked", with_checksum=False)], tmp_path, idle_timeout=limit_s(end))
    assert len(seen.finished) == 1 and faulty.struck == [end(MIDDLE)]


@pytest.mark.parametrize("end, error", [(Cut, "ChecksumMismatch"), (Reset, "UnexpectedClose"), (Stall, "TimeoutError")])
def test_file_up_to_the_close_that_was_cut(way, tmp_path, end, error):
    """FIN is the end of such a body: only a checksum, or the size, can tell."""
    faulty = way(Plan(down=[end(MIDDLE)]))
    seen = fetch_files([row(faulty, "large0", "until-close")], tmp_path, idle_timeout=limit_s(end))
    assert type(seen.errors[0]).__name__ == error
    assert len(seen.finished) == 1


def test_connection_that_is_refused_is_made_again(way, tmp_path):
    faulty = way(Plan(accept=Refuse()), Plan(accept=Refuse()))
    assert len(fetch_files([row(faulty, "f07")], tmp_path, per_host=1).finished) == 1
    assert len(faulty.struck) == 2


def test_way_that_is_never_whole_ends_with_an_error_that_says_so(way, tmp_path):
    faulty = way(beyond=Plan(down=[Cut(500)]))
    seen = fetch_files([row(faulty, name) for name in LARGE_NAMES], tmp_path, retries=3)
    assert seen.finished == [] and all(isinstance(transfer.error, HONEST_ERRORS) for transfer in seen.failed)
    assert [transfer.n_retries for transfer in seen.failed] == [3] * 3


@pytest.mark.parametrize("end", ENDS)
def test_kept_connection_that_breaks_between_answers_costs_no_file(way, tmp_path, end):
    """Somewhere in the first kilobytes of many small answers: every other one may be cut, none is wrong."""
    faulty = way(*[Plan(down=[end(400 + 977 * n)]) for n in range(12)])
    rows = [row(faulty, name, with_checksum=False) for name in SMALL_NAMES]
    seen = fetch_files(rows, tmp_path, idle_timeout=limit_s(end) / 2)
    assert len(seen.finished) == len(SMALL_NAMES) and faulty.struck


@pytest.mark.parametrize("depth", [2, 8])
@pytest.mark.parametrize("end", ENDS)
def test_pipelined_answers_that_break_anywhere_are_whole(way, tmp_path, end, depth):
    faulty = way(*[Plan(down=[end(300 + 1733 * n)]) for n in range(10)])
    seen = fetch_files([row(faulty, name, with_checksum=False) for name in SMALL_NAMES], tmp_path, pipelining=depth,
                       per_host=2, idle_timeout=limit_s(end) / 2)
    assert len(seen.finished) == len(SMALL_NAMES) and faulty.struck


@pytest.mark.parametrize("end", ENDS)
def test_file_in_pieces_over_ways_that_break_is_whole(way, tmp_path, end):
    faulty = way(*[Plan(down=[end(50_000 + 7001 * n)]) for n in range(8)])
    transfer, = fetch_files([row(faulty, "large2", with_checksum=False)], tmp_path, split=4, min_split_size=100_000,
                            idle_timeout=limit_s(end) / 2).finished
    assert transfer.size == len(FILES["large2"]) and len(faulty.struck) >= 4

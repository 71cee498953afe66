"""Bytes that were changed on the way. In a body of plain http nobody can see that without a checksum; with one, or with TLS, it
is seen always. Whatever it does to heads and chunks, no request gets bytes of another one's file."""
import pytest
from faults.fetching import FILES, IDLE_S, SMALL_NAMES, Asker, fetch_files, row, strangers
from support.fault_proxy import Plan
from support.way_faults import Corrupt, Cut, Drop, Repeat, Swap
from support.way_plans import FALSE

import qhttp

BODY_AT = 2000              # of an answer of nginx's: its heads are shorter
FALSE_FAULTS = [Corrupt(BODY_AT), Swap(BODY_AT, 40, 60)]
SHIFTS = [Drop(BODY_AT, 40), Repeat(BODY_AT, 40)]
HEAD_LEN = 250


@pytest.mark.parametrize("fault", FALSE_FAULTS, ids=str)
def test_changed_body_without_a_checksum_is_not_seen(way, fault):
    """This is what http can do."""
    error, body = Asker(way(Plan(down=[fault]))).get("large0")
    assert error is None and body != FILES["large0"] and len(body) == len(FILES["large0"])


@pytest.mark.parametrize("location", ["plain", "chunked", "until-close"])
@pytest.mark.parametrize("fault", [*FALSE_FAULTS, *SHIFTS], ids=str)
def test_changed_body_with_a_checksum_is_fetched_again(way, tmp_path, location, fault):
    faulty = way(Plan(down=[fault]))
    seen = fetch_files([row(faulty, "large0", location)], tmp_path, idle_timeout=IDLE_S)
    assert len(seen.finished) == 1 and faulty.struck == [fault]
    assert all(isinstance(error, (qhttp.errors.BodyError, qhttp.errors.TimeoutError)) for error in seen.errors) and seen.errors


def test_body_that_is_changed_each_time_is_a_checksum_mismatch_and_no_file(way, tmp_path):
    faulty = way(beyond=Plan(down=[Corrupt(BODY_AT + 100_000 * n) for n in range(100)]))
    transfer, = fetch_files([row(faulty, "large0")], tmp_path).failed
    assert isinstance(transfer.error, qhttp.errors.ChecksumMismatch)
    assert list(tmp_path.iterdir()) == []


def test_changed_part_is_gone_on_with_and_then_thrown_away(way, tmp_path):
    """The change is not in the end of the part, which is compared; the checksum finds it in the whole."""
    faulty = way(Plan(down=[Corrupt(BODY_AT), Cut(300_000)]), Plan(down=[Corrupt(290_000), Cut(300_000)]))
    seen = fetch_files([row(faulty, "large1")], tmp_path)
    assert len(seen.finished) == 1 and seen.finished[0].n_resumed == 0
    assert len(faulty.struck) == 4 and faulty.connections[2].down.n_put > len(FILES["large1"])


def test_end_of_a_part_that_was_changed_is_seen_without_a_checksum(way, tmp_path):
    faulty = way(Plan(down=[Corrupt(299_000), Cut(300_000)]))
    seen = fetch_files([row(faulty, "large1", with_checksum=False)], tmp_path)
    assert len(seen.finished) == 1 and seen.finished[0].n_resumed == 0 and len(faulty.struck) == 2


@pytest.mark.parametrize("location", ["plain", "chunked"])
def test_each_byte_of_a_head_turned_over_gives_no_request_another_ones_bytes(way, location):
    faulty = way(*[Plan(down=[Corrupt(at, 1 << at % 7)]) for at in range(HEAD_LEN)])
    asker = Asker(faulty, location)
    asker.wait_for_bytes(IDLE_S / 4)
    for n in range(HEAD_LEN):
        asker.http.close()
        for name in ("f09", "f08", "f10"):          # the second one finds what the first one left
            _, body = asker.get(name)
            assert not strangers(name, body), (n, name, body)
    assert len(faulty.struck) > HEAD_LEN // 2        # a busy machine has some of them out of time


@pytest.mark.parametrize("name_of_fault", FALSE)
@pytest.mark.parametrize("location", ["plain", "chunked"])
def test_false_bytes_anywhere_give_no_request_another_ones_bytes(seeded_way, location, name_of_fault):
    faulty = seeded_way(5, n_faulty=30, names=[name_of_fault], longest=60_000)
    faulty.plan_for, draw = (lambda number: Plan(down=[*draw(number).down, *draw(number + 1000).down])), faulty.plan_for
    asker = Asker(faulty, location)
    asker.wait_for_bytes(IDLE_S / 4)
    for name in SMALL_NAMES * 4:
        error, body = asker.get(name)
        assert not strangers(name, body), (name, body)
        if error is not None:
            asker.http.close()
    assert faulty.struck


@pytest.mark.parametrize("depth", [1, 8])
@pytest.mark.parametrize("name_of_fault", FALSE)
def test_false_bytes_anywhere_with_checksums_all_files_are_right(seeded_way, tmp_path, name_of_fault, depth):
    """Both directions: a request that was changed asks for another file."""
    faulty = seeded_way(6, n_faulty=12, names=[name_of_fault], longest=60_000)
    seen = fetch_files([row(faulty, name) for name in SMALL_NAMES], tmp_path, pipelining=depth, per_host=2, idle_timeout=IDLE_S)
    errors = qhttp.errors.HTTPStatusError, qhttp.errors.ChecksumMismatch, qhttp.errors.RedirectError
    assert all(isinstance(transfer.error, errors) for transfer in seen.failed)
    assert len(seen.finished) >= len(SMALL_NAMES) - 6 and faulty.struck

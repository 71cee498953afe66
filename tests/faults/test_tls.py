"""TLS of nginx over faulty ways: whatever is cut or changed, no byte that was not sent is ever handed out."""
import pytest
from faults.fetching import FILES, IDLE_S, PATIENT_S, SMALL_NAMES, Asker, fetch_files, limit_s, row
from support.fault_proxy import Plan
from support.way_faults import Corrupt, Cut, Drip, Drop, HalfClose, Repeat, Reset, Split, Stall, Swap
from support.way_plans import FALSE, HONEST

import qhttp

IN_BODY = 100_000           # of the bytes on the wire: behind the handshake and the head
FAULTS = [Corrupt(IN_BODY), Swap(IN_BODY, 40, 60), Drop(IN_BODY, 1), Drop(IN_BODY, 20_000), Repeat(IN_BODY, 40),
          Repeat(IN_BODY, 20_000), Cut(IN_BODY), Reset(IN_BODY), Stall(IN_BODY), HalfClose(IN_BODY)]
ERRORS = "UnexpectedClose", "WrongContentLength", "UnknownError"


@pytest.fixture
def context(nginx):
    return nginx.certificates.context()


@pytest.mark.parametrize("location, fault", [("plain", fault) for fault in FAULTS] + [
    (location, fault) for location in ("chunked", "until-close") for fault in (Corrupt(IN_BODY), Cut(IN_BODY))], ids=str)
def test_body_that_is_changed_or_cut_is_an_error_with_a_true_beginning(way, context, location, fault):
    asker = Asker(way(Plan(down=[fault]), port="https"), location, context)
    asker.wait_for_bytes(limit_s(fault))
    error, body = asker.get("large0")
    assert error in ERRORS and FILES["large0"].startswith(body) and body != FILES["large0"]
    asker.wait_for_bytes(PATIENT_S)
    assert asker.get("f09") == (None, FILES["f09"])


@pytest.mark.parametrize("at", [0, 3, 100, 700])
@pytest.mark.parametrize("fault", [Corrupt, Cut, Reset, Stall])
def test_handshake_that_is_changed_or_cut_is_an_error_without_a_byte(way, context, fault, at):
    faulty = way(Plan(down=[fault(at)]), port="https")
    asker = Asker(faulty, context=context)
    asker.wait_for_bytes(IDLE_S)            # a length that was changed is waited for, too
    error, body = asker.get("f09")
    assert (faulty.struck and body == FILES["f09"]) if error is None else body == b""
    asker.wait_for_bytes(PATIENT_S)
    assert asker.get("f10") == (None, FILES["f10"])


@pytest.mark.parametrize("at", [0, 4, 30, 200, 400, 600])
def test_request_that_is_changed_is_never_answered_with_another_file(way, context, at):
    faulty = way(Plan(up=[Corrupt(at)]), port="https")
    asker = Asker(faulty, context=context)
    asker.wait_for_bytes(IDLE_S)
    error, body = asker.get("f09")
    assert (error is None and body == FILES["f09"]) or body == b""
    asker.wait_for_bytes(PATIENT_S)
    assert asker.get("f10") == (None, FILES["f10"])


@pytest.mark.parametrize("plan", [Plan(down=[Split(0, 6000)]), Plan(down=[Drip(0, 30), Drip(4000, 30)]),
                                  Plan(up=[Split(0, 900)])], ids=str)
def test_records_in_small_pieces_are_no_error(way, context, plan):
    faulty = way(plan, port="https")
    asker = Asker(faulty, context=context)
    for name in SMALL_NAMES:
        assert asker.get(name) == (None, FILES[name])
    assert faulty.struck and len(faulty.connections) == 1


@pytest.mark.parametrize("depth", [1, 8])
@pytest.mark.parametrize("seed", range(3))
def test_files_over_ways_with_all_faults_are_whole_without_checksums(seeded_way, context, tmp_path, seed, depth):
    faulty = seeded_way(seed, "https", n_faulty=10, names=HONEST + FALSE, longest=100_000)
    rows = [row(faulty, name, scheme="https", with_checksum=False) for name in [*SMALL_NAMES, "large0"]]
    seen = fetch_files(rows, tmp_path, context=context, idle_timeout=IDLE_S, connect_timeout=3 * IDLE_S, pipelining=depth)
    assert seen.failed == [] and faulty.struck


def test_corruption_of_each_record_is_an_error_of_the_downloader(way, context, tmp_path):
    faulty = way(beyond=Plan(down=[Corrupt(IN_BODY)]), port="https")
    transfer, = fetch_files([row(faulty, "large0", scheme="https", with_checksum=False)], tmp_path, context=context, retries=2,
                            resume=False).failed
    assert isinstance(transfer.error, (qhttp.errors.NetworkError, qhttp.errors.UnexpectedClose, qhttp.errors.BodyError))

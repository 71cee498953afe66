"""Requests of QHttp and Client to nginx over faulty ways: a whole body or an error, and the next request has its own answer."""
import pytest
from faults.fetching import FILES, HONEST_ERRORS, IDLE_S, LARGE_NAMES, PATIENT_S, SMALL_NAMES, Asker, limit_s, url
from support.fault_proxy import Plan
from support.way_faults import Cut, HalfClose, Refuse, Reset, Split, Stall

import qhttp

ENDS = [Cut, Reset, Stall, HalfClose]
CUTS = "UnexpectedClose", "WrongContentLength", "UnknownError"      # UnknownError: a limit of time, against a stall


@pytest.mark.parametrize("location", ["plain", "chunked"])
@pytest.mark.parametrize("end", ENDS)
def test_body_that_is_cut_is_an_error_and_the_next_one_whole(way, location, end):
    asker = Asker(way(Plan(down=[end(100_000)])), location)
    asker.wait_for_bytes(limit_s(end))
    error, body = asker.get("large0")
    assert error in CUTS and FILES["large0"].startswith(body) and 0 < len(body) < 100_000
    asker.wait_for_bytes(PATIENT_S)
    assert asker.get("f09") == (None, FILES["f09"])


@pytest.mark.parametrize("end", [Cut, HalfClose, Reset])
def test_answer_cut_before_its_first_byte_is_asked_for_again(way, end):
    faulty = way(Plan(down=[end(0)]), Plan(down=[end(0)]))
    assert Asker(faulty).get("f09") == (None, FILES["f09"])
    assert len(faulty.connections) == 3


@pytest.mark.parametrize("end", [Cut, HalfClose, Reset])
def test_answer_cut_in_its_head_is_an_error(way, end):
    asker = Asker(way(Plan(down=[end(30)])))
    assert asker.get("f09") == ("UnexpectedClose", b"")
    assert asker.get("f10") == (None, FILES["f10"])


def test_refused_connection_is_an_error_or_made_again_and_the_next_request_good(way):
    asker = Asker(way(Plan(accept=Refuse())))
    error, body = asker.get("f09")              # an RST during the connect is a refusal, later one a connection that went
    assert (error, body) in [("UnexpectedClose", b""), ("UnknownError", b""), ("ConnectionRefused", b""), (None, FILES["f09"])]
    assert asker.get("f10") == (None, FILES["f10"])


def test_kept_connection_whose_way_breaks_while_idle_is_noticed(way):
    faulty = way()
    asker = Asker(faulty)
    assert asker.get("f09") == (None, FILES["f09"])
    passage = faulty.connections[0]
    passage.down.source.shutdown(2)                 # the server's side has gone
    faulty.wait_for(lambda: passage.is_over or passage.down.at_end)
    assert asker.get("f10") == (None, FILES["f10"])
    assert len(faulty.connections) == 2


def test_requests_one_after_the_other_on_ways_that_break_anywhere(way):
    """Each answer is whole or an error with a beginning of its own file."""
    ends = [ENDS[n % 4] for n in range(16)]
    faulty = way(*[Plan(down=[end(300 + 3571 * n)], up=[Split(0, 300)]) for n, end in enumerate(ends)])
    asker = Asker(faulty)
    asker.wait_for_bytes(IDLE_S / 2)
    for name in [*SMALL_NAMES, *SMALL_NAMES, *LARGE_NAMES]:
        error, body = asker.get(name)
        assert body == FILES[name] if error is None else error in CUTS and FILES[name].startswith(body)
    assert len(faulty.struck) > 16 and any(error for _, error, _ in asker.outcomes)


@pytest.mark.parametrize("end", ENDS)
def test_queued_requests_end_at_the_fault_and_not_before(way, end):
    http = qhttp.QHttp("localhost", way(Plan(down=[end(20_000)])).port)
    http.setTransferTimeout(round(limit_s(end) * 1000))
    names, got = [name for name in SMALL_NAMES if FILES[name]] * 2, []
    http.requestFinished.connect(lambda number, error: got.append((number, error, bytes(http.readAll()))))
    numbers = {http.get(f"/plain/{name}"): name for name in names}
    assert http.waitForDone(10_000)
    bodies = [(numbers[number], error, body) for number, error, body in got if number in numbers]
    assert bodies and all(body == FILES[name] for name, error, body in bodies if not error)
    assert all(FILES[name].startswith(body) for name, error, body in bodies if error)
    assert [error for _, error, _ in bodies].count(True) == 1 and http.error().name in CUTS


@pytest.mark.parametrize("location", ["plain", "chunked"])
def test_client_tries_until_the_way_is_whole(way, location):
    faulty = way(*[Plan(down=[end(at)]) for end in ENDS for at in (0, 200, 50_000)])
    with qhttp.Client(proxy=None, idle_timeout=0.05, retries=20) as client:
        client._downloader.random = lambda: 0.0
        for name in ("large0", "f09", "large1"):
            answer = client.get(url(faulty, name, location))
            assert (answer.status, answer.content) == (200, FILES[name])
    assert len(faulty.struck) == 12


def test_client_without_further_tries_raises_what_it_was(way):
    with qhttp.Client(proxy=None, idle_timeout=IDLE_S, retries=0) as client:
        for end, at in [(Cut, 100_000), (Reset, 100_000), (Stall, 100), (Cut, 20)]:
            with pytest.raises(HONEST_ERRORS):      # the stall, by its limit
                client.get(url(way(Plan(down=[end(at)])), "large0"))


def test_client_asks_for_ranges_over_ways_that_break(way):
    faulty = way(*[Plan(down=[end(at)]) for end in (Cut, Reset) for at in (100, 700)])
    with qhttp.Client(proxy=None, retries=20) as client:
        client._downloader.random = lambda: 0.0
        spans = [(0, 16), (1000, 1500), (LARGE_AT := 600_000, LARGE_AT + 100)]
        assert client.get_ranges(url(faulty, "large0"), spans) == [FILES["large0"][start:end] for start, end in spans]
    assert len(faulty.struck) == 4


@pytest.mark.parametrize("end", ENDS)
def test_upload_over_a_way_that_breaks_is_an_error_or_whole(way, nginx, end):
    faulty = way(Plan(up=[end(300_000)]), Plan(up=[end(300_000)]), Plan(up=[end(300_000)]))
    asker = Asker(faulty, "upload")
    asker.wait_for_bytes(limit_s(end))
    data = FILES["large0"]
    header = qhttp.QHttpRequestHeader("PUT", f"/upload/{end.__name__}")
    header.setValue("Host", "localhost")
    asker.http.request(header, data)
    assert asker.http.waitForDone(10_000)
    assert asker.http.error().name in CUTS
    assert not nginx.upload(end.__name__).exists()
    for _ in range(3):                          # PUT may be sent again, and is, where no byte of an answer has come
        if len(faulty.struck) == 3:
            asker.wait_for_bytes(PATIENT_S)
        asker.http.request(header, data)
        assert asker.http.waitForDone(10_000)
    assert asker.http.error().name == "NoError" and len(faulty.struck) == 3
    assert nginx.upload(end.__name__).read_bytes() == data

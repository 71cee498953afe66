"""A further try goes on where the last one broke off, if it is the same version; whatever the server says, never a mixture."""
import threading

import pytest
from bulk.downloads import LARGE, HeldFiles, body, download, files_in, n_descriptors, names_in, one, running
from bulk.origin import NOW, OLD, Each, Origin, Versioned, answer, chunked
from support.actions import Close, Reset, Send

import qhttp

N = LARGE * 2
CUT = LARGE + 50_000            # bytes of the first answer
DATA, OTHER = body(N), body(N, 2)
OVERLAP = 16 << 10
ETAG = "ETag", '"one"'


def first(data=DATA, *fields, n=N):
    return [answer(200, data[:CUT], *(fields or (ETAG,)), length=n), Close()]


def part_of(data, start, end=None, total=None, fields=(ETAG,), body=None, range_=None):
    """A 206."""
    end = len(data) if end is None else end
    said = range_ or f"bytes {start}-{end - 1}/{len(data) if total is None else total}"
    return answer(206, data[start:end] if body is None else body, ("Content-Range", said), *fields)


class Continued:
    """First a cut answer; then `make(start)` to a request with Range, and `whole` to one without."""

    def __init__(self, make, whole=None, begin=None):
        self.make, self.whole = make, answer(200, OTHER, ("ETag", '"two"')) if whole is None else whole
        self.begin = begin or first()
        self.starts = []

    def __call__(self, request):
        asked = request.get("range")
        if asked is None:
            began, self.begin = self.begin, None
            return began or self.whole
        self.starts.append(int(asked[6:-1]))
        return self.make(self.starts[-1])


# -- the same version
@pytest.mark.parametrize(
    "validators, if_range",
    [
        ({"etag": '"one"'}, '"one"'),
        ({"etag": '"one"', "last_modified": OLD}, '"one"'),
        ({"etag": None, "last_modified": OLD}, OLD),
        ({"etag": 'W/"one"', "last_modified": OLD}, OLD),
    ],
)
def test_resuming_keeps_the_bytes_of_a_known_version(validators, if_range, tmp_path):
    versioned = Versioned(DATA, cuts=[CUT], **validators)
    with Origin({"/a": versioned}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and transfer.n_retries == 1
    again = origin.log[1]
    start = int(again.get("range")[6:-1])
    assert again.get("if-range") == if_range and CUT - OVERLAP - 70_000 <= start < CUT
    assert (transfer.n_resumed, transfer.size, transfer.status) == (start + min(OVERLAP, start), N, 206)
    assert versioned.n_sent == [CUT, N - start]


@pytest.mark.parametrize(
    "validators", [
        {"etag": None}, {"etag": None, "last_modified": NOW}, {"etag": None, "last_modified": "yesterday"}, {"etag": 'W/"one"'},
        {"etag": ""}, {"etag": '""'}, {"etag": "one"}, {"etag": 'w/"one"'}, {"etag": '"o"n"'}, {"etag": '"one'},
        {"etag": '"one"', "fields": [("ETag", '"two"')]},
    ], ids=str,
)
def test_resuming_an_unknown_version_begins_again(validators, tmp_path):
    versioned = Versioned(DATA, cuts=[CUT], **validators)
    with Origin({"/a": versioned}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and transfer.n_resumed == 0
    assert [request.get("range") for request in origin.log] == [None, None]


def test_resuming_many_times_asks_for_little_twice(tmp_path):
    cuts = [LARGE + 10_000, 120_000, 90_000, 50_000]
    versioned = Versioned(DATA, cuts=cuts)
    with Origin({"/a": versioned}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA}
    assert sum(versioned.n_sent) <= N + 5 * (OVERLAP + (64 << 10))


def test_resuming_what_was_cut_while_still_small_makes_progress(tmp_path):
    """Each answer ends after 200 kB: what came counts, also before memory was full."""
    versioned = Versioned(body(1_000_000), cuts=[200_000] * 20)
    with Origin({"/a": versioned}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, retries=18)      # the first ones may come before the part is open
    assert transfer.error is None and files_in(tmp_path) == {"a": body(1_000_000)}


def test_resuming_after_a_reset_keeps_a_true_beginning(tmp_path):
    with Origin({"/a": Versioned(DATA, cuts=[CUT], is_reset=True)}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA}


def test_resuming_is_not_tried_where_it_is_turned_off(tmp_path):
    with Origin({"/a": Versioned(DATA, cuts=[CUT])}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, resume=False)
    assert transfer.error is None and origin.log[1].get("range") is None and files_in(tmp_path) == {"a": DATA}


@pytest.mark.parametrize("settings", [{"limit_rate": 10**9}, {"host_limit_rate": 10**9}])
def test_resuming_a_body_that_comes_slowly(settings, tmp_path):
    versioned = Versioned(DATA, cuts=[CUT])
    with Origin({"/a": versioned}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, **settings)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and versioned.n_sent[1] < N - LARGE


def test_resuming_a_whole_part_needs_only_its_end(tmp_path):
    """The last byte was there, and the connection broke before the chunks' end."""
    fields = ETAG, ("Transfer-Encoding", "chunked")
    begin = [answer(200, b"%x\r\n%b\r\n" % (N, DATA), *fields, length=-1), Close()]
    served = Continued(lambda start: part_of(DATA, start), begin=begin)
    with Origin({"/a": served}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert (
        transfer.error is None and files_in(tmp_path) == {"a": DATA} and served.starts and served.starts[0] >= N - OVERLAP - 1
    )


@pytest.mark.parametrize("make", ["length", "chunked"])
def test_resuming_byte_by_byte_is_the_same(make, tmp_path):
    def second(start):
        whole = part_of(DATA, start) if make == "length" else chunked(
            DATA[start:], ("Content-Range", f"bytes {start}-{N - 1}/{N}"), ETAG, status=206, piece=70_000)
        return Send(whole, (*range(1, 400), *range(OVERLAP, OVERLAP + 400)))
    served = Continued(second)
    with Origin({"/a": served}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and served.starts


# -- another version
def test_resuming_a_version_that_has_changed_begins_again(tmp_path):
    versioned = Versioned(DATA, cuts=[CUT])
    with Origin({"/a": versioned}) as origin, running([origin.url("/a")], dir=tmp_path) as (downloader, seen):
        def change(*_):
            versioned.data, versioned.etag = OTHER, '"two"'
        downloader.retrying.connect(change)
        downloader.run()
    assert seen.kinds == {"a": None} and files_in(tmp_path) == {"a": OTHER}
    assert origin.log[1].get("if-range") == '"one"' and len(origin.log) == 2 and seen.ended[0].etag == '"two"'


@pytest.mark.parametrize("n", [1000, LARGE, N + 1, N * 2])
def test_resuming_a_version_of_another_length_begins_again(n, tmp_path):
    versioned = Versioned(DATA, cuts=[CUT])
    with Origin({"/a": versioned}) as origin, running([origin.url("/a")], dir=tmp_path) as (downloader, seen):
        def change(*_):
            versioned.data, versioned.etag = body(n, 3), '"two"'
        downloader.retrying.connect(change)
        downloader.run()
    assert seen.kinds == {"a": None} and files_in(tmp_path) == {"a": body(n, 3)}


LIES = {
    "other bytes": lambda start: part_of(OTHER, start),
    "other bytes behind the overlap, and their ETag": lambda start: part_of(
        OTHER, start, fields=[("ETag", '"two"')], body=DATA[start : start + OVERLAP] + OTHER[start + OVERLAP :]
    ),
    "one byte of the overlap": lambda start: part_of(DATA, start, body=DATA[start : start + 9] + b"?" + DATA[start + 10 :]),
    "last byte of the overlap": lambda start: part_of(
        DATA, start, body=DATA[start : start + OVERLAP - 1] + bytes([DATA[start + OVERLAP - 1] ^ 1]) + DATA[start + OVERLAP :]
    ),
    "start": lambda start: part_of(DATA, start + 1),
    "start of nought": lambda start: part_of(DATA, 0),
    "range that was not asked for": lambda start: part_of(DATA, start, N - 5),
    "total": lambda start: part_of(DATA, start, total=N + 5),
    "total that is smaller": lambda start: part_of(DATA, start, range_=f"bytes {start}-{N - 1}/{N - 9}"),
    "total unknown": lambda start: part_of(DATA, start, total="*"),
    "no Content-Range": lambda start: answer(206, DATA[start:], ETAG),
    "two Content-Ranges": lambda start: part_of(DATA, start, fields=[ETAG, ("Content-Range", f"bytes {start}-{N - 1}/{N}")]),
    "another unit": lambda start: part_of(DATA, start, range_=f"lines {start}-{N - 1}/{N}"),
    "nonsense": lambda start: part_of(DATA, start, range_="bytes abc"),
    "multipart": lambda start: answer(206, b"--x\r\n\r\n--x--", ("Content-Type", "multipart/byteranges; boundary=x"), ETAG),
    "ETag": lambda start: part_of(DATA, start, fields=[("ETag", '"two"')]),
    "length shorter": lambda start: part_of(DATA, start, body=DATA[start:-7]),
    "length longer": lambda start: part_of(DATA, start, body=DATA[start:] + b"longer"),
    "chunked shorter": lambda start: chunked(DATA[start:-7], ("Content-Range", f"bytes {start}-{N - 1}/{N}"), ETAG, status=206),
    "chunked longer": lambda start: chunked(
        DATA[start:] + b"longer", ("Content-Range", f"bytes {start}-{N - 1}/{N}"), ETAG, status=206
    ),
    "chunked shorter than the overlap": lambda start: chunked(
        DATA[start : start + 9], ("Content-Range", f"bytes {start}-{N - 1}/{N}"), ETAG, status=206
    ),
    "nothing": lambda start: chunked(b"", ("Content-Range", f"bytes {start}-{N - 1}/{N}"), ETAG, status=206),
    "416": lambda start: answer(416, b"", ("Content-Range", f"bytes */{N}")),
    "416 without a range": lambda start: answer(416, b"no"),
    "412": lambda start: answer(412, b"no"),
    "200 of another version": lambda start: answer(200, OTHER, ("ETag", '"two"')),
    "200 of the same": lambda start: answer(200, DATA, ETAG),
    "200 chunked": lambda start: chunked(OTHER, ("ETag", '"two"')),
    "200 small": lambda start: answer(200, b"small", ("ETag", '"three"')),
}


@pytest.mark.parametrize("lie", LIES)
def test_resuming_an_answer_that_lies_is_never_a_mixture(lie, tmp_path):
    served = Continued(LIES[lie])
    with Origin({"/a": served}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, retries=4)
    assert served.starts, "nothing was continued"
    if lie == "chunked shorter":            # again and again: there is always something missing
        assert isinstance(transfer.error, qhttp.Truncated) and names_in(tmp_path) == []
        return
    assert transfer.error is None, transfer.error
    assert files_in(tmp_path) in ({"a": DATA}, {"a": OTHER}, {"a": b"small"})
    if not lie.startswith(("200", "chunked", "nothing")):
        assert files_in(tmp_path) == {"a": OTHER}       # what it gets where it asks for the whole
        assert transfer.n_resumed == 0 and transfer.etag == '"two"'


def test_resuming_a_206_that_stays_a_lie_is_an_error(tmp_path):
    """Also where all of it was asked for."""
    served = Continued(lambda start: part_of(OTHER, start), whole=part_of(OTHER, 0))
    with Origin({"/a": served}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, retries=3)
    assert isinstance(transfer.error, qhttp.ResumeError) and names_in(tmp_path) == []


def test_resuming_a_server_error_keeps_the_part(tmp_path):
    turns = iter([lambda start: answer(503), lambda start: part_of(DATA, start)])
    served = Continued(lambda start: next(turns)(start))
    with Origin({"/a": served}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and files_in(tmp_path) == {"a": DATA} and len(served.starts) == 2 and transfer.n_resumed > 0


def test_resuming_after_bad_framing_begins_again(tmp_path):
    begin = [chunked(DATA[:CUT], ETAG, end=b"zz\r\n"), Close()]
    served = Continued(lambda start: part_of(DATA, start), whole=answer(200, DATA, ETAG), begin=begin)
    with Origin({"/a": served}) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and served.starts == [] and files_in(tmp_path) == {"a": DATA}


def test_resuming_a_coded_body_begins_again(tmp_path):
    import gzip
    data = gzip.compress(DATA)
    fields = ETAG, ("Content-Encoding", "gzip")
    with Origin(
        {"/a": Each([answer(200, data[:CUT], *fields, length=len(data)), Close()], answer(200, data, *fields))}
    ) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path)
    assert transfer.error is None and origin.log[1].get("range") is None and files_in(tmp_path) == {"a": DATA}


# -- late answers of the disk
def test_resuming_does_not_take_a_late_part_for_its_own(tmp_path):
    """A try asks for its part and is cut before it has it; the next one asks, too."""
    before = None
    with Origin({"/a": Each([answer(200, DATA[:100_000], ETAG, length=N), Close()], answer(200, DATA, ETAG))}) as origin:
        with running([origin.url("/a")], dir=tmp_path) as (downloader, seen):
            before = n_descriptors()
            with HeldFiles(downloader) as files:
                downloader.start()
                downloader.turn_until(lambda: len(origin.log) == 2)
                downloader.run(100)
                files.release()
                downloader.run()
            origin.wait_for(lambda: True)
        seen_names = names_in(tmp_path)
    assert seen.kinds == {"a": None} and files_in(tmp_path) == {"a": DATA} and seen_names == ["a"]
    assert n_descriptors() <= before + 2            # the sockets of both sides


def test_resuming_a_late_part_does_not_empty_what_was_written(tmp_path):
    cut, rest = threading.Event(), threading.Event()
    begin = [answer(200, DATA[:100_000], ETAG, length=N), lambda _: cut.wait(5), Reset()]
    second = [answer(200, DATA[:CUT], ETAG, length=N), lambda _: rest.wait(5), Send(DATA[CUT:])]
    with (
        Origin({"/a": Each(begin, second)}) as origin,
        running([origin.url("/a")], dir=tmp_path) as (downloader, seen),
        HeldFiles(downloader) as opening,
    ):
        downloader.start()
        downloader.turn_until(lambda: bool(origin.log))
        downloader.run(100)                     # it asks for the part
        with HeldFiles(downloader) as opening_again:
            cut.set()
            downloader.turn_until(lambda: len(origin.log) == 2)
            downloader.run(100)                 # and asks once more
            opening.release()
            downloader.run(200)
            opening_again.release()
            downloader.run(100)
            rest.set()
            downloader.run()
    assert seen.kinds == {"a": None} and files_in(tmp_path) == {"a": DATA}


def test_resuming_a_body_that_grows_large_when_an_earlier_try_has_its_part_goes_on(tmp_path):
    """The second answer does not say how large it is."""
    cut, rest = threading.Event(), threading.Event()
    whole = chunked(DATA)
    begin = [answer(200, DATA[:100_000], length=N), lambda _: cut.wait(5), Reset()]
    second = [whole[:100_000], lambda _: rest.wait(5), Send(whole[100_000:])]
    with (
        Origin({"/a": Each(begin, second)}) as origin,
        running([origin.url("/a")], dir=tmp_path) as (downloader, seen),
        HeldFiles(downloader) as opening,
    ):
        downloader.start()
        downloader.turn_until(lambda: bool(origin.log))
        downloader.run(200)                     # it asks for the part
        cut.set()
        downloader.turn_until(lambda: len(origin.log) == 2)
        downloader.run(100)                     # what has come yet has room in memory
        opening.release()
        downloader.run(200)
        rest.set()
        downloader.run()
    assert seen.kinds == {"a": None} and files_in(tmp_path) == {"a": DATA}


def test_resuming_many_at_once(tmp_path):
    names = [str(number) for number in range(12)]
    served = {f"/{name}": Versioned(body(N, int(name) + 5), etag=f'"{name}"', cuts=[CUT, 100_000]) for name in names}
    with Origin(served) as origin:
        seen = download([origin.url(path) for path in served], dir=tmp_path, per_host=4)
    assert len(seen.finished) == 12 and files_in(tmp_path) == {name: body(N, int(name) + 5) for name in names}
    assert all(transfer.n_resumed for transfer in seen.finished)

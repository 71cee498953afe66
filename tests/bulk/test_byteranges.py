"""byteranges: what ranges are asked for, and what an answer may say about those it has."""
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttp.bulk.byteranges import (
    BOUNDARY_CAP,
    PART_HEAD_CAP,
    PREAMBLE_CAP,
    RANGES_CAP,
    ContentRange,
    parse_byteranges,
    parse_content_range,
    range_value,
    ranges_value,
)
from qhttp.errors import BodyError, Truncated

TYPE = "multipart/byteranges; boundary=sep"


def part(start, data, total="100", head="Content-Type: text/plain\r\n", boundary="sep"):
    line = f"--{boundary}\r\n{head}Content-Range: bytes {start}-{start + len(data) - 1}/{total}\r\n\r\n"
    return line.encode("latin-1") + data + b"\r\n"


def read(body, content_type=TYPE):
    return [(*positions, bytes(data)) for *positions, data in parse_byteranges(content_type, body)]


GOOD = b"\r\n" + part(0, b"abc") + part(50, b"\r\n--sep--\r\n") + part(99, b"z") + b"--sep--\r\n"
GOOD_PARTS = [(0, 3, 100, b"abc"), (50, 61, 100, b"\r\n--sep--\r\n"), (99, 100, 100, b"z")]


# -- Content-Range
@pytest.mark.parametrize("value, expected", [
    ("bytes 0-0/1", (0, 0, 1)), ("bytes 42-1233/1234", (42, 1233, 1234)), ("bytes 42-1233/*", (42, 1233, None)),
    ("bytes */1234", (None, None, 1234)),
    ("bytes */0", (None, None, 0)), ("BYTES 1-2/3", (1, 2, 3)), (" bytes 1-2/3\t", (1, 2, 3)), ("bytes 001-02/0003", (1, 2, 3)),
    (f"bytes 0-{2**63 - 2}/{2**63 - 1}", (0, 2**63 - 2, 2**63 - 1)),
    (f"bytes {2**63 - 1}-{2**63 - 1}/*", (2**63 - 1, 2**63 - 1, None)),
])
def test_parse_content_range_good_value_is_read(value, expected):
    assert tuple(parse_content_range(value)) == expected


@pytest.mark.parametrize("value", [
    "", "bytes", "bytes ", "bytes 0-0", "bytes 0-0/", "bytes /1", "bytes -/1", "bytes 0/1", "bytes -1/2", "bytes 0-/2",
    "bytes */*", "bytes */",
    "bytes=0-0/1", "items 0-0/1", "0-0/1", "bytes  0-0/1", "bytes\t0-0/1", "bytes 0 -0/1", "bytes 0- 0/1", "bytes 0-0 /1",
    "bytes 0-0/ 1",
    "bytes 2-1/3", "bytes 0-3/3", "bytes 3-3/3", "bytes 0-0/0", "bytes +0-0/1", "bytes 0-+0/1", "bytes 0--1/1", "bytes 0x0-0/1",
    "bytes 0_0-0/1", "bytes 0-0/1, bytes 0-0/1", "bytes 0-0/1/2", "bytes 0-0-0/1", "bytes 0.0-1/2", "bytes 0-0/1;x",
    "bytes *-*/1",
    "bytes \u0661-2/3", "bytes 1-\xb2/3", f"bytes 0-0/{2**63}", f"bytes 0-{2**63}/*", "bytes 0-0/" + "9" * 5000,
    "bytes 0-0/" + "0" * 30 + "1",
    "bytes 0-0/1\0", "bytes 0-0/1\r\n", "b\u0443tes 0-0/1",
])
def test_parse_content_range_faulty_value_is_a_value_error(value):
    with pytest.raises(ValueError, match="Content-Range"):
        parse_content_range(value)


def test_content_range_is_a_value():
    assert parse_content_range("bytes 1-4/9") == ContentRange(1, 4, 9) != ContentRange(1, 4, None)
    assert ContentRange(1, 4, 9).length == 4 and ContentRange(None, None, 9).length == 0
    assert len({ContentRange(1, 4, 9), ContentRange(1, 4, 9)}) == 1
    assert repr(ContentRange(1, 4, None)) == "ContentRange(1, 4, None)"


# -- Range
@pytest.mark.parametrize("start, end, expected", [(0, 0, "bytes=0-0"), (5, 9, "bytes=5-9"), (5, None, "bytes=5-"),
(0, None, "bytes=0-")])
def test_range_value_is_inclusive(start, end, expected):
    assert range_value(start, end) == expected


@pytest.mark.parametrize("start, end", [(-1, 5), (-1, None), (5, 4)])
def test_range_value_that_is_none_is_refused(start, end):
    with pytest.raises(ValueError, match="start"):
        range_value(start, end)


@pytest.mark.parametrize("ranges, expected", [([(0, 1)], "bytes=0-0"), ([(0, 100), (200, 300)], "bytes=0-99,200-299")])
def test_ranges_value_joins_them(ranges, expected):
    assert ranges_value(ranges) == expected


@pytest.mark.parametrize("ranges", [[], [(0, 0)], [(0, 1), (5, 4)], [(-1, 4)], [(0, 1)] * (RANGES_CAP + 1)])
def test_ranges_value_that_is_none_is_refused(ranges):
    with pytest.raises(ValueError, match="ranges"):
        ranges_value(ranges)


# -- multipart/byteranges
def test_parse_byteranges_parts_are_read_by_their_length():
    assert read(GOOD) == GOOD_PARTS


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, lambda data: memoryview(b"x" + data + b"y")[1:-1]])
def test_parse_byteranges_data_is_a_piece_of_the_body(make):
    body = make(GOOD)
    data = parse_byteranges(TYPE, body)[0].data
    assert isinstance(data, memoryview) and data.obj is (body.obj if isinstance(body, memoryview) else body)
    assert repr(parse_byteranges(TYPE, body)[0]) == "<Part 0-2/100>"


def test_parse_byteranges_every_beginning_is_truncated():
    whole = GOOD.rindex(b"--") + 2
    for n in range(len(GOOD)):
        if n >= whole and n != len(GOOD) - 1:       # a lone CR behind the last delimiter is its line, cut off
            assert read(GOOD[:n]) == GOOD_PARTS
        else:
            with pytest.raises(Truncated):
                read(GOOD[:n])


@pytest.mark.parametrize("content_type", [
    "multipart/byteranges; boundary=sep", "MultiPart/ByteRanges;BOUNDARY=sep", 'multipart/byteranges ; boundary="sep"',
    "multipart/byteranges;\tcharset=x; boundary=sep ;", 'multipart/byteranges; x="boundary=no; \\""; boundary=sep',
    r'multipart/byteranges; boundary="s\ep"',
])
def test_parse_byteranges_content_type_gives_the_boundary(content_type):
    assert read(GOOD, content_type) == GOOD_PARTS


@pytest.mark.parametrize("boundary, written", [
    ("THIS_STRING_SEPARATES", "THIS_STRING_SEPARATES"), ("x" * BOUNDARY_CAP, "x" * BOUNDARY_CAP), ("a b", '"a b"'),
    ("0=?:/,.()+_-'", "0=?:/,.()+_-'"),
    ("--", "--"), ("sep--", "sep--"),
])
def test_parse_byteranges_boundary_may_be_odd(boundary, written):
    body = part(0, b"a", boundary=boundary) + f"--{boundary}--".encode()
    assert read(body, f"multipart/byteranges; boundary={written}") == [(0, 1, 100, b"a")]


@pytest.mark.parametrize("content_type", [
    "", "text/plain", "multipart/mixed; boundary=sep", "multipart/x-byteranges; boundary=sep", "multipart/byteranges",
    "multipart/byteranges;",
    "multipart/byteranges; boundary", "multipart/byteranges; boundary=", 'multipart/byteranges; boundary=""',
    'multipart/byteranges; boundary="sep',
    'multipart/byteranges; boundary="sep\\', 'multipart/byteranges; boundary="sep"x', "multipart/byteranges; boundary=a b",
    'multipart/byteranges; boundary=a"b', "multipart/byteranges; boundary=sep; boundary=sep",
    "multipart/byteranges; boundary=sep; =x",
    "multipart/byteranges; boundary=sep; x y=z", 'multipart/byteranges; boundary="sep "',
    "multipart/byteranges; boundary=s\xe9p",
    'multipart/byteranges; boundary="a\r\nb"', "multipart/byteranges; boundary=" + "x" * (BOUNDARY_CAP + 1),
    "multipart/byteranges, x; boundary=sep",
    "multipart/byteranges; boundary=sep; x=" + "y" * 2000, "multipart/byteranges; boundary=a*b",
    "multipart/byteranges; boundary= sep x",
])
def test_parse_byteranges_content_type_without_usable_boundary_is_a_body_error(content_type):
    with pytest.raises(BodyError, match="Content-Type") as caught:
        read(GOOD, content_type)
    assert type(caught.value) is BodyError


@pytest.mark.parametrize("body, expected", [
    (part(0, b"a") + b"--sep--", [b"a"]),
    (b"for people\r\n--separate\r\n--sep\r" + b"x\r\n" + part(0, b"a") + b"--sep--", [b"a"]),
    (part(0, b"a") + b"--sep-- \t", [b"a"]), (part(0, b"a") + b"--sep-- \r\nepilogue --sep\r\n", [b"a"]),
    (part(0, b"a").replace(b"sep\r\n", b"sep \t\r\n") + b"--sep--", [b"a"]),
    (part(0, b"a", head="") + b"--sep--", [b"a"]), (part(0, b"a", total="*") + part(1, b"b") + b"--sep--", [b"a", b"b"]),
    (part(0, b"\r\n--sep\r\n") + b"--sep--", [b"\r\n--sep\r\n"]), (part(0, b"--sep--") + b"--sep--", [b"--sep--"]),
    (part(5, b"a") + part(0, b"b") + part(5, b"a") + b"--sep--", [b"a", b"b", b"a"]),
    (part(0, b"a").replace(b"Content-Range: ", b"CONTENT-RANGE:\t") + b"--sep--", [b"a"]),
    (part(0, b"a", head="X: " + "y" * (PART_HEAD_CAP - 100) + "\r\n") + b"--sep--", [b"a"]),
    (b"x" * (PREAMBLE_CAP - 2) + b"\r\n" + part(0, b"a") + b"--sep--", [b"a"]),
    (b"".join(part(n, b"a", total="*") for n in range(RANGES_CAP)) + b"--sep--", [b"a"] * RANGES_CAP),
])
def test_parse_byteranges_unusual_body_is_read(body, expected):
    assert [data for *_, data in read(body)] == expected


RANGE = b"Content-Range: bytes 0-0/100\r\n"


@pytest.mark.parametrize("body, reason", [
    (b"--sep--", "no part"), (b"\r\n--sep--\r\n", "no part"), (b"x" * (PREAMBLE_CAP + 200), "no delimiter"),
    (b"x" * (PREAMBLE_CAP + 200) + b"\r\n" + part(0, b"a") + b"--sep--", "no delimiter"),
    (b"\n" + part(0, b"a").replace(b"\r\n", b"\n") + b"--sep--" + b"x" * PREAMBLE_CAP, "no delimiter"),
    (part(0, b"a") + b"--sep--x", "broken delimiter"), (part(0, b"a") + b"--sepx" + part(1, b"b"), "broken delimiter"),
    (part(0, b"a") + b"--sep-x", "broken delimiter"), (part(0, b"a") + b"--sep" + b" " * 300 + b"\r\n", "broken delimiter"),
    (b"--sep\r\n\r\na\r\n--sep--", "without Content-Range"), (b"--sep\r\nX: y\r\n\r\na\r\n--sep--", "without Content-Range"),
    (b"--sep\r\n" + RANGE + RANGE + b"\r\na\r\n--sep--", "several"),
    (b"--sep\r\n" + RANGE + b" folded\r\n\r\na\r\n--sep--", "broken field"),
    (b"--sep\r\n" + RANGE + b"no field\r\n\r\na\r\n--sep--", "broken field"),
    (b"--sep\r\nX : y\r\n" + RANGE + b"\r\na\r\n--sep--", "broken field"),
    (b"--sep\r\n: y\r\n" + RANGE + b"\r\na\r\n--sep--", "broken field"),
    (b"--sep\r\nX: y\nZ: z\r\n" + RANGE + b"\r\na\r\n--sep--", "broken field"),
    (b"--sep\r\nX: \0\r\n" + RANGE + b"\r\na\r\n--sep--", "broken field"),
    (b"--sep\r\nContent-Range: bytes 1-0/9\r\n\r\na\r\n--sep--", "broken field"),
    (b"--sep\r\nContent-Range: x\r\n\r\na\r\n--sep--", "broken field"),
    (b"--sep\r\nContent-Range: bytes */9\r\n\r\n\r\n--sep--", "not satisfiable"),
    (part(0, b"ab").replace(b"0-1", b"0-0") + b"--sep--", "as long as"),
    (part(0, b"ab" + b"x" * 20).replace(b"0-21", b"0-2") + b"--sep--", "as long as"),
    (part(0, b"ab").replace(b"0-1", b"0-2") + b"--sep--" + b"x" * 20, "as long as"),
    (part(0, b"a")[:-2] + b"--sep--" + b"x" * 9, "as long as"),
    (part(0, b"a") + part(1, b"b", total="101") + b"--sep--", "different totals"),
    (part(0, b"a", head="X: " + "y" * PART_HEAD_CAP + "\r\n") + b"--sep--", "longer than"),
    (part(0, b"a", total="*") * (RANGES_CAP + 1) + b"--sep--", "more than"),
])
def test_parse_byteranges_faulty_body_is_a_body_error(body, reason):
    with pytest.raises(BodyError, match=reason) as caught:
        read(body)
    assert type(caught.value) is BodyError


@pytest.mark.parametrize("body", [
    b"", b"--se", b"--sep", b"nothing of it", part(0, b"a"),
    b"--sep\r\nContent-Range: bytes 0-9223372036854775806/*\r\n\r\nx\r\n--sep--",
    part(0, b"abc")[:-2] + b"", part(0, b"a") + b"--sep-",
])
def test_parse_byteranges_body_that_ends_early_is_truncated(body):
    with pytest.raises(Truncated):
        read(body)


@given(st.lists(st.sampled_from([b"--sep", b"--sep--", b"\r\n", b"\r", b"\n", b"--", b" ", b"a", b"Content-Range: bytes 0-0/1",
        RANGE, b"\r\n\r\n",
                                 b"Content-Range: bytes 0-9/10\r\n\r\n", b"\0", b"X: y\r\n", part(0, b"a"), part(3, b"bc")]),
                                 max_size=12).map(b"".join))
@settings(deadline=None, max_examples=400)
def test_parse_byteranges_any_body_gives_true_parts_or_a_body_error(body):
    for whole in (body, part(0, b"a") + body, body + b"\r\n--sep--"):
        try:
            parts = parse_byteranges(TYPE, whole)
        except BodyError:
            continue
        assert parts and all(len(part.data) == part.end_exclusive - part.start > 0 for part in parts)


@given(st.lists(st.tuples(st.integers(0, 50), st.binary(min_size=1, max_size=20)), min_size=1, max_size=5))
@settings(deadline=None)
def test_parse_byteranges_what_was_put_in_comes_out(ranges):
    body = b"".join(part(start, data) for start, data in ranges) + b"--sep--"
    assert read(body) == [(start, start + len(data), 100, data) for start, data in ranges]

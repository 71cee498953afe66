"""Lists of downloads: what each format's lines become, and what is said of those that cannot be read."""
import io
import os
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttp.bulk import manifest
from qhttp.bulk.manifest import check_row, read_list, write_aria2
from qhttp.errors import ManifestError

SHA256 = "0123456789abcdef" * 4
MD5 = "0123456789abcdef" * 2
A, B = "http://a.test/x", "https://b.test/y?q=1#f"


@pytest.fixture
def read(tmp_path):
    """read(data, name): the rows of a file of that name; an error as its text behind the path."""
    def read(data, name="list.txt", **options):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return shown(read_list(path, **options), f"{path}, ")
    return read


def shown(rows, prefix):
    shown = []
    for row in rows:
        if isinstance(row, ManifestError):
            assert str(row).startswith(prefix), row
        shown.append(str(row).removeprefix(prefix) if isinstance(row, ManifestError) else row)
    return shown


def url(*urls):
    return [{"url": url} for url in urls]


# -- text
@pytest.mark.parametrize("text, expected", [
    ("", []), ("\n\n \n\t\n", []), (A, url(A)), (f"{A}\n{B}\n", url(A, B)), (f"{A}\r\n\r\n{B}\r\n", url(A, B)),
    (f"# of mine\n{A}\n#{B}\n  # more\n", url(A)), (f"{A}  \n", url(A)), (f"\ufeff{A}\n", url(A)), (f"{A} b\n", url(f"{A} b")),
    ("http://a.test/ü\n", url("http://a.test/ü")), ("\ufeff# c\n\ufeff", url("\ufeff")), (f"{A}\x0b{B}\n", url(f"{A}\x0b{B}")),
    ("http://a.test/\x85\u2028\n", url("http://a.test/\x85\u2028")),
])
def test_text_has_one_url_a_line(read, text, expected):
    assert read(text) == expected


def test_text_with_tabs_has_mirrors(read):
    assert read(f"{A}\t{B}\t\t{A}2\t\n") == [{"url": A, "mirrors": [B, f"{A}2"]}]


@pytest.mark.parametrize("option, expected", [
    ("out=a b/c.bin", {"out": "a b/c.bin"}), ("dir=/x = y", {"dir": "/x = y"}), ("out =  f ", {"out": "f"}),
    ("out=1\n out=2", {"out": "2"}),
    (f"checksum=sha-256={SHA256}", {"checksum": f"sha256:{SHA256}"}),
    (f"checksum=md5={MD5.upper()}", {"checksum": f"md5:{MD5}"}),
    (f"checksum=sha-256={SHA256}\n checksum=md5={MD5}\n checksum=md5={MD5}",
     {"checksum": [f"sha256:{SHA256}", f"md5:{MD5}", f"md5:{MD5}"]}),
    ("header=X-A: b: c\n\theader=X-E:", {"headers": [["X-A", "b: c"], ["X-E", ""]]}),
    ("referer=http://r.test/\n user-agent=me/1", {"headers": [["Referer", "http://r.test/"], ["User-Agent", "me/1"]]}),
    ("split=5\n max-download-limit=1K\n pause=true", {}), ("# out=f", {}), ("\n # c\n\n  out=f", {"out": "f"}),
])
def test_text_with_indented_lines_has_options_of_aria2(read, option, expected):
    assert read(f"{B}\n {option}\n{A}\n") == [{"url": B, **expected}, {"url": A}]
    assert read(f"{A}\n{B}\n\t{option}".replace("\n", "\r\n")) == [{"url": A}, {"url": B, **expected}]


@pytest.mark.parametrize("option, expected", [
    (b"out", "an indented line must be an option"), (b"=x", "an indented line must be an option"),
    (b"http://c.test/?a=b", "an indented line must be an option"), (b"Out=x", "an indented line must be an option"),
    (b"checksum=sha-256", "checksum must be"), (b"checksum=sha-256=0123", "checksum must be"),
    (b"checksum=", "checksum must be"),
    (b"checksum=crc7=00", "checksum must be"), (b"header=X-A", "header must be"), (b"header=: x", "header must be"),
    (b"referer=*", "referer must be"), (b"out=\xff", "it is not UTF-8"),
    (b"header=X: " + b"x" * manifest.LINE_CAP, "it is longer than"),
])
def test_text_option_that_cannot_be_read_is_an_error_in_the_place_of_its_row(read, option, expected):
    data = b"%b\n%b\n split=2\n %b\n out=f\n header=broken\n%b\n" % (A.encode(), B.encode(), option, A.encode())
    [before, error, after] = read(data)
    assert (before, after) == ({"url": A}, {"url": A})
    assert error.startswith(f"line 4: {expected}") and "c.test" not in error


def test_text_option_without_a_url_is_an_error(read):
    [error, row] = read(f" out=x\n{A}\n")
    assert error.startswith("line 1: an indented line is an option of the URL above it") and row == {"url": A}


def test_text_options_below_a_line_that_cannot_be_read_are_not_the_row_before_its(read):
    assert read(b"%b\n\xff\n out=x\n%b" % (A.encode(), B.encode())) == [{"url": A}, "line 2: it is not UTF-8", {"url": B}]


# -- lines
@pytest.mark.parametrize("n_more", [0, 1, 2, 100, manifest.LINE_CAP, 3 * manifest.LINE_CAP + 1])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_line_beyond_its_cap_is_an_error_and_the_next_is_read(read, n_more, end):
    long = b"x" * (manifest.LINE_CAP + n_more)
    found = read(b"%b\n%b%b%b" % (A.encode(), long, end, B.encode() + b"\n" if end else b""))
    error = f"line 2: it is longer than {manifest.LINE_CAP} bytes" if n_more else {"url": long.decode()}
    assert found == [{"url": A}, error, *(url(B) if end else [])]


def test_lines_of_an_endless_list_are_not_held():
    class Endless(io.RawIOBase):
        n = 0

        def readable(self):
            return True

        def readinto(self, room):
            room[:] = (b"http://a.test/\n" * (len(room) // 15 + 1))[:len(room)]
            self.n += 1
            return len(room)

    source = Endless()
    rows = read_list("-", stdin=io.BufferedReader(source))
    tracemalloc.start()
    try:
        for _ in range(30_000):
            assert isinstance(next(rows), dict)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert source.n > 50


def test_line_without_an_end_is_not_held(tmp_path):
    path = tmp_path / "list"
    with open(path, "wb") as file:
        file.truncate(64 << 20)         # one line of zeros
    tracemalloc.start()
    try:
        [error] = read_list(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * manifest.LINE_CAP
    finally:
        tracemalloc.stop()
    assert "line 1: it is longer than" in str(error)


# -- standard input
@pytest.mark.parametrize("stdin", [io.BytesIO(f"{A}\n{B}\n\xff".encode("latin-1")),
                                   io.TextIOWrapper(io.BytesIO(f"{A}\n{B}\n\xff".encode("latin-1")))])
def test_standard_input_is_text(stdin):
    assert shown(read_list("-", stdin=stdin), "standard input, ") == [*url(A, B), "line 3: it is not UTF-8"]


def test_standard_input_is_another_format_if_that_is_said():
    assert list(read_list("-", format="jsonl", stdin=io.BytesIO(b'{"url": "x"}'))) == url("x")


def test_standard_input_is_the_process_own(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(A.encode())))
    assert list(read_list("-")) == url(A)


def test_standard_input_gives_a_row_as_soon_as_the_next_begins():
    read_fd, write_fd = os.pipe()
    with open(read_fd, "rb") as stdin, open(write_fd, "wb", buffering=0) as pipe:
        rows = read_list("-", stdin=stdin)
        pipe.write(b"0\n")
        for n in range(1, 4):
            pipe.write(f"{n}\n".encode())
            assert next(rows) == {"url": str(n - 1)}


def test_standard_input_stays_open():
    stdin = io.BytesIO(A.encode())
    assert list(read_list("-", stdin=stdin)) == url(A) and not stdin.closed


# -- which format
@pytest.mark.parametrize("name, data", [
    ("a.txt", A), ("a.lst", A), ("a", A), ("a.jsonl.txt", A), ("a.jsonl", f'{{"url": "{A}"}}'),
    ("a.NDJSON", f'{{"url": "{A}"}}'),
    ("a.csv", f"url\n{A}\n"),
])
def test_format_is_that_of_the_ending(read, name, data):
    assert read(data, name) == url(A)


def test_format_that_is_said_counts(read):
    assert read(A, "a.csv", format="text") == url(A)


@pytest.mark.parametrize("format", ["aria2", "", "CSV"])
def test_format_that_is_unknown_is_refused_at_the_call(format):
    with pytest.raises(ValueError, match="format must be one of text, metalink, jsonl, csv, parquet"):
        read_list("nowhere", format=format)


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_list_that_cannot_be_opened_is_an_error_at_the_call(tmp_path, name):
    with pytest.raises(ManifestError, match="cannot be read: "):
        read_list(tmp_path / name)


def test_list_that_fails_while_it_is_read_ends_with_an_error():
    class Failing(io.BytesIO):
        def readline(self, n=-1):
            return super().readline(n) or self.fail()

        def fail(self):
            raise OSError(5, "Input/output error")

    [row, error] = read_list("-", stdin=Failing(f"{A}\n{B}\n".encode()))
    assert row == {"url": A} and str(error) == "standard input cannot be read any further: Input/output error"


def test_list_is_closed_with_its_end(tmp_path):
    path = tmp_path / "list"
    path.write_text(f"{A}\n{B}\n")
    before = set(os.listdir("/proc/self/fd"))
    rows = read_list(path)
    assert next(rows) == {"url": A} and set(os.listdir("/proc/self/fd")) != before
    assert next(rows) == {"url": B} and list(rows) == []
    assert set(os.listdir("/proc/self/fd")) == before
    rows = read_list(path)
    next(rows)
    rows.close()
    assert set(os.listdir("/proc/self/fd")) == before


# -- JSON lines
def test_json_lines_have_rows_and_other_keys_are_left_out(read):
    assert read('{"url": "a", "size": 5, "out": null, "caption": {"x": [1]}, "headers": {"A": "b", "C": null}}\n\n'
                '{"url": "b", "mirrors": [], "headers": [["A", "b"], ["A", "c"]], "checksum": ["x:1", "y:2"], "dir": ""}\r\n'
                '{"url": "c", "mirrors": ["d"], "checksum": ["x:1"], "size": 0}', "a.jsonl") == [
        {"url": "a", "size": 5, "headers": [["A", "b"]]},
        {"url": "b", "headers": [["A", "b"], ["A", "c"]], "checksum": ["x:1", "y:2"], "dir": ""},
        {"url": "c", "mirrors": ["d"], "checksum": "x:1", "size": 0}]


@pytest.mark.parametrize("line",
                         [b"{", b"[]", b'"http://a.test/"', b"null", b"5", b"{'url': 'x'}", b'{"url": "x"} {"url": "y"}',
                          b"[" * 100_000,
                                  b'{"size": ' + b"9" * 10_000 + b"}", b"\x00"])
def test_json_line_that_is_no_object_is_an_error(read, line):
    assert read(b'%b\n{"url": "x"}' % line, "a.jsonl") == ["line 1: it is no JSON object", {"url": "x"}]


@pytest.mark.parametrize("values, expected", [
    ("{}", "url is missing"), ('{"url": null}', "url is missing"), ('{"url": ""}', "url is missing"),
    ('{"url": 5}', "url must be text"), ('{"url": "http://u:p@h/"}', "url must be text, and without user information"),
    ('{"url": "\\ud800"}', "url must be text"), ('{"url": "x", "out": ["f"]}', "out must be text"),
    ('{"url": "x", "dir": 1}', "dir must be text"),
    ('{"url": "x", "size": -1}', "size must be a whole number"), ('{"url": "x", "size": 1.0}', "size must be a whole number"),
    ('{"url": "x", "size": true}', "size must be a whole number"), ('{"url": "x", "size": "5"}', "size must be a whole number"),
    ('{"url": "x", "size": 9223372036854775808}', "size must be a whole number"),
    ('{"url": "x", "checksum": 5}', "checksum must be text, or a list"),
    ('{"url": "x", "checksum": ["a", 5]}', "checksum must be text, or a list"),
    ('{"url": "x", "mirrors": "y"}', "mirrors must be a list"), ('{"url": "x", "mirrors": [1]}', "mirrors must be a list"),
    ('{"url": "x", "headers": "A: b"}', "headers must be a list of pairs"),
    ('{"url": "x", "headers": ["ab"]}', "headers must be a list of pairs"),
    ('{"url": "x", "headers": [["A"]]}', "headers must be a list of pairs"),
    ('{"url": "x", "headers": [["A", 1]]}', "headers must be a list of pairs"),
    ('{"url": "x", "headers": {"A": 1}}', "headers must be a list of pairs"),
    ('{"url": "x", "headers": [["A", "b", "c"]]}', "headers must be a list of pairs"),
])
def test_json_line_with_a_value_of_another_type_is_an_error(read, values, expected):
    [error, row] = read(f'{values}\n{{"url": "x"}}\n', "a.jsonl")
    assert error.startswith(f"line 1: {expected}") and row == {"url": "x"}


def test_json_line_that_is_not_utf8_is_an_error(read):
    assert read(b'{"url": "\xff"}\n{"url": "x"}', "a.jsonl") == ["line 1: it is not UTF-8", {"url": "x"}]


def test_check_row_keeps_what_it_is_given():
    values = {"url": A, "headers": [("A", "b")], "other": 1}
    assert check_row(values) == {"url": A, "headers": [["A", "b"]]}
    assert values == {"url": A, "headers": [("A", "b")], "other": 1}


# -- CSV
@pytest.mark.parametrize("data, expected", [
    (f"url\n{A}\n\n{B}\n", url(A, B)), (f"\ufeffid, URL ,size\r\n1,{A},5\r\n2,{B},\r\n", [{"url": A, "size": 5}, {"url": B}]),
    (f'caption,url,out,dir,checksum\n"two\n""lines"", here",{A},f,d,md5:x\n',
     [{"url": A, "out": "f", "dir": "d", "checksum": "md5:x"}]),
    (f'url,headers,mirrors,url\n"{A}",h,m,{B}\n', url(A)), ("", []), ("url\n", []), ("\n\nurl\nx", url("x")),
])
def test_csv_has_rows_by_the_names_of_its_columns(read, data, expected):
    assert read(data, "a.csv") == expected


@pytest.mark.parametrize("data, error", [
    (b"x,y,z", "it has 3 fields, and the first line 2"), (b"x", "it has 1 fields, and the first line 2"),
    (b",5", "url is missing"),
    (b"x,five", "size must be a whole number"), (b"x,-5", "size must be a whole number"),
    (b"x," + b"9" * 99, "size must be a whole number"),
    (b"\xff,5", "it is not UTF-8"), (b'"a\n\xff\nb",5', "it is not UTF-8"), (b'"a"b,5', "',' expected after"),
    (b'"' + b"y" * manifest.LINE_CAP, "it is longer than"), (b"y" * manifest.LINE_CAP + b",", "it is longer than"),
    (b'"' + b"y" * 140_000 + b'",5', "field larger than"),
])
def test_csv_record_that_cannot_be_read_is_an_error_and_the_next_is_read(read, data, error):
    [found, row] = read(b"url,size\n" + data + b"\nx,5\n", "a.csv")
    assert found.startswith(f"line 2: {error}") and row == {"url": "x", "size": 5}


def test_csv_quote_without_an_end_is_an_error_of_the_line_where_it_begins(read):
    assert read('url\nx\n"y\nz\n', "a.csv") == [{"url": "x"}, "line 3: unexpected end of data"]


def test_csv_record_of_many_lines_is_not_held(read):
    n = manifest.LINE_CAP // 4 + 1
    found = read(b'url\n"x\n' + b'","\n' * n, "a.csv")
    assert found[0].startswith("line 2: the record is longer than")


@pytest.mark.parametrize("data", ["", "link,size\nx,5\n", "http://a.test/\nhttp://b.test/\n"])
def test_csv_without_a_column_url_ends_with_an_error(read, data):
    assert read(data, "a.csv") == (["line 1: the first line must name the columns, and one of them url"] if data else [])


# -- writing
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"),
               max_size=20).filter(lambda text: text == text.strip(" \t"))
URLS = LINE.filter(lambda text: text and "\t" not in text and text[0] not in "#\ufeff")
NAMES = st.text("abcXYZ019-_=", min_size=1, max_size=9)
CHECKSUMS = st.sampled_from([f"sha256:{SHA256}", f"md5:{MD5}", f"sha1:{MD5}01234567", f"sha3_256:{SHA256}",
                             f"blake2b:{SHA256 * 2}",
                             f"sha512:{SHA256 * 2}"])
ROWS = st.fixed_dictionaries({"url": URLS}, optional={
    "out": LINE, "dir": LINE, "mirrors": st.lists(URLS, min_size=1, max_size=3),
    "checksum": st.one_of(CHECKSUMS, st.lists(CHECKSUMS, min_size=2, max_size=3)),
    "headers": st.lists(st.tuples(NAMES, LINE).map(list), min_size=1, max_size=3)})


@settings(deadline=None)
@given(st.lists(ROWS, max_size=5))
def test_write_aria2_is_read_back_as_the_same_rows(rows):
    file = io.StringIO()
    assert write_aria2(iter(rows), file) == len(rows)
    assert list(read_list("-", stdin=io.BytesIO(file.getvalue().encode()))) == rows


def test_write_aria2_writes_what_aria2_reads():
    file = io.StringIO()
    write_aria2([{"url": A, "mirrors": [B], "out": "f", "dir": "d", "checksum": f"sha256:{SHA256}", "headers": [["X", "y"]],
                  "size": 5}], file)
    assert file.getvalue() == f"{A}\t{B}\n out=f\n dir=d\n checksum=sha-256={SHA256}\n header=X: y\n"


@pytest.mark.parametrize("row, named", [
    ({"url": "a\nb"}, "url"), ({"url": "a\rb"}, "url"), ({"url": " a"}, "url"), ({"url": "a\tb"}, "url"),
    ({"url": "#a"}, "url"),
    ({"url": ""}, "url"), ({"url": A, "mirrors": ["a\n b"]}, "mirrors"),
    ({"url": A, "mirrors": [""]}, "url must not .* mirrors"),
    ({"url": A, "out": "a\n dir=/"}, "out"), ({"url": A, "out": "a "}, "out"), ({"url": A, "dir": "\ta"}, "dir"),
    ({"url": A, "headers": [["A\nB", "c"]]}, "headers"), ({"url": A, "headers": [["A", "c\r\nd"]]}, "headers"),
    ({"url": A, "headers": [["A:", "c"]]}, "headers"), ({"url": A, "headers": [["", "c"]]}, "headers"),
    ({"url": A, "checksum": "what"}, "checksum"),
    ({"url": A, "size": -1}, "size"),
])
def test_write_aria2_of_what_would_be_read_as_something_else_is_refused(row, named):
    file = io.StringIO()
    with pytest.raises(ValueError, match=f"^{named} "):
        write_aria2([row], file)
    assert file.getvalue() == ""

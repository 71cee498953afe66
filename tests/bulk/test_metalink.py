"""Metalink 4 as a stream, and Parquet where pyarrow is there."""
import io
import sys
import tracemalloc

import pytest

from qhttp.bulk import manifest, metalink
from qhttp.bulk.manifest import read_list
from qhttp.errors import ManifestError

SHA256 = "0123456789abcdef" * 4
SHA1 = "0123456789" * 4
NS = 'xmlns="urn:ietf:params:xml:ns:metalink"'
WHOLE = f"""<?xml version="1.0" encoding="UTF-8"?>
<metalink {NS} xmlns:o="http://other.test/ns">
  <published>2009-05-15T12:23:23Z</published>
  <o:url>http://wrong.test/</o:url>
  <file name="folder/a&amp;b.ext">
    <size>14471447</size>
    <identity>Example</identity>
    <o:url>http://wrong.test/</o:url>
    <o:more><url>http://wrong.test/</url></o:more>
    <hash type="sha-256">{SHA256}</hash>
    <hash type="SHA-1"> {SHA1.upper()}
    </hash>
    <hash type="sha-999">00</hash>
    <pieces length="256" type="sha-1"><hash>{SHA1}</hash></pieces>
    <url location="de" priority="2">http://two.test/a?x=1&amp;y=2</url>
    <url>http://last.test/a</url>
    <url priority="1">https://one.test/a</url>
    <url priority="2"><![CDATA[http://two.test/b]]></url>
    <url priority="1">ftp://one.test/a</url>
    <metaurl mediatype="torrent" priority="1">http://one.test/a.torrent</metaurl>
  </file>
  <file name="z"><url>http://z.test/</url></file>
</metalink>
"""
ROWS = [
    {"url": "https://one.test/a", "mirrors": ["http://two.test/a?x=1&y=2", "http://two.test/b", "http://last.test/a"],
     "out": "folder/a&b.ext", "size": 14471447, "checksum": [f"sha256:{SHA256}", f"sha1:{SHA1}"]},
    {"url": "http://z.test/", "out": "z"},
]


class Pieces(io.BytesIO):
    """A file that gives at most `n` bytes at a time."""

    def __init__(self, data, n):
        super().__init__(data)
        self.n = n

    def read1(self, n=-1):
        return super().read1(min(n, self.n))


def read(data, n=1 << 20):
    data = data if isinstance(data, bytes) else data.encode()
    prefix = "standard input, "
    found = list(read_list("-", format="metalink", stdin=Pieces(data, n)))
    return [str(row).removeprefix(prefix) if isinstance(row, ManifestError) else row for row in found]


def document(*inner):
    return f"<metalink {NS}>\n" + "\n".join(inner) + "\n</metalink>"


GOOD = '<file name="z"><url>http://z.test/</url></file>'


@pytest.mark.parametrize("n", [1, 2, 7, 64, 1 << 20])
def test_metalink_has_a_row_for_each_file_with_its_mirrors_by_priority(n):
    assert read(WHOLE, n) == ROWS


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1"])
def test_metalink_in_another_encoding_is_read(encoding):
    assert read(WHOLE.replace("UTF-8", encoding.removesuffix("-sig")).encode(encoding)) == ROWS


@pytest.mark.parametrize("ending", ["meta4", "METALINK"])
def test_metalink_is_told_by_its_ending(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_text(WHOLE)
    assert list(read_list(path)) == ROWS


def test_metalink_cut_off_anywhere_never_tells_half_a_file():
    data = WHOLE.encode()
    for end in range(len(data.rstrip())):
        found = read(data[:end])
        assert found[:-1] == ROWS[:len(found) - 1], end
        assert found[-1].startswith("line "), end


@pytest.mark.parametrize("inner, error", [
    ("<file><url>http://a.test/</url></file>", "the file has no name"),
    ('<file name=""><url>http://a.test/</url></file>', "the file has no name"),
    ('<file name="a"></file>', "the file has no http or https URL"),
    ('<file name="a"><url>ftp://a.test/</url></file>', "the file has no http"),
    ('<file name="a"><metaurl mediatype="torrent">http://a.test/</metaurl></file>', "the file has no http"),
    ('<file name="a"><url priority="0">http://a.test/</url></file>', "priority must be"),
    ('<file name="a"><url priority="1000000">http://a.test/</url></file>', "priority must be"),
    ('<file name="a"><url priority="x">http://a.test/</url></file>', "priority must be"),
    ('<file name="a"><size>-1</size><url>http://a.test/</url></file>', "size must be"),
    ('<file name="a"><size>1</size><size>1</size><url>http://a.test/</url></file>', "size must be there once"),
    ('<file name="a"><size/><url>http://a.test/</url></file>', "size must be"),
    (f'<file name="a"><size>{"9" * 5000}</size><url>http://a.test/</url></file>', "size must be"),
    ('<file name="a"><size>9999999999999999999</size><url>http://a.test/</url></file>', "size must be"),
    ('<file name="a"><hash type="sha-256">00</hash><url>http://a.test/</url></file>', "hash must be"),
    ('<file name="a"><hash type="md5">x</hash><url>http://a.test/</url></file>', "hash must be"),
    ('<file name="a">' + "<url>http://a.test/</url>" * (metalink.URLS_CAP + 1) + "</file>", "it has more than"),
    ('<file name="a"><url>http://a.test/</url>' + f'<hash type="sha-1">{SHA1}</hash>' * (metalink.HASHES_CAP + 1) + "</file>",
     "it has more than"),
])
def test_metalink_file_that_cannot_be_read_is_an_error_and_the_next_is_read(inner, error):
    [before, found, after] = read(document(GOOD, inner, GOOD))
    assert found.startswith(f"line 3: {error}") and before == after == ROWS[1]


@pytest.mark.parametrize("data, error", [
    ("", "it is no XML"), ("http://a.test/\n", "it is no XML"), ("<metalink/>", "it is no Metalink 4"),
    ('<?xml version="1.0" encoding="xxx"?><metalink/>', "its encoding"),
    ('<?xml version="1.0" encoding="gb2312"?><a/>', "its encoding"),
    (f"<other {NS}/>", "it is no Metalink 4"),
    ('<metalink version="3.0" xmlns="http://www.metalinker.org/"/>', "it is no Metalink 4"),
    (f'<!DOCTYPE metalink [<!ENTITY e "http://a.test/">]><metalink {NS}><file name="a"><url>&e;</url></file></metalink>',
     "it has a DOCTYPE"),
    (f'<!DOCTYPE metalink SYSTEM "file:///etc/hostname"><metalink {NS}/>', "it has a DOCTYPE"),
    (f'<!DOCTYPE metalink><metalink {NS}/>', "it has a DOCTYPE"),
    (document('<file name="a"><url>&e;</url></file>'), "it is no XML: undefined entity"),
    (document('<file name="a"><url>http://a<b/></url></file>'), "an element with text has others in it"),
    (document('<file name="a"><url>http://a<url>http://b</url></url></file>'), "an element with text has others in it"),
    (document("<a>" * 200), "more than 100 elements"), (document("<a></b>"), "it is no XML: mismatched tag"),
    (document(f'<file name="a"><url>{"x" * (manifest.LINE_CAP + 1)}</url></file>'), "an element's text is longer than"),
    (document("\x00"), "it is no XML"), (document(GOOD) + "<more/>", "it is no XML"),
])
def test_metalink_that_is_none_ends_with_an_error(data, error):
    *before, found = read(data)
    assert found.partition(": ")[2].startswith(error) and before in ([], [ROWS[1]])
    assert "a.test" not in found


@pytest.mark.parametrize("begin", ['<file name="', "<!-- ", '<file name="a"><url>http://z.test/</url><description>', "<?x "])
def test_metalink_token_without_an_end_is_not_held(begin):
    class Endless(io.RawIOBase):
        n_read = 0

        def read(self, n):
            self.n_read += n
            return f"<metalink {NS}>{begin}".encode() if self.n_read == n else b"x" * n if self.n_read < 64 << 20 else b""

    source = Endless()
    tracemalloc.start()
    try:
        [error] = list(read_list("-", format="metalink", stdin=source))
        assert tracemalloc.get_traced_memory()[1] < 8 * manifest.LINE_CAP
    finally:
        tracemalloc.stop()
    assert isinstance(error, ManifestError)
    assert "description" in begin or source.n_read < 3 * manifest.LINE_CAP      # text that nobody wants goes by


def test_metalink_of_many_files_is_told_as_it_is_read():
    source = io.BytesIO(document(*[GOOD] * 20_000).encode())
    rows = read_list("-", format="metalink", stdin=source)
    assert next(rows) == ROWS[1]
    assert source.tell() <= 2 * metalink.READ_LEN
    assert sum(1 for _ in rows) == 20_000 - 1


# -- Parquet
def test_parquet_without_pyarrow_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ManifestError, match=r"pip install qhttp\[parquet\]"):
        read_list(tmp_path / "a.parquet")


def test_parquet_from_standard_input_is_refused(monkeypatch):
    monkeypatch.setattr(metalink, "import_parquet", lambda: None)
    with pytest.raises(ValueError, match="source must be a path"):
        read_list("-", format="parquet", stdin=io.BytesIO())


@pytest.fixture
def pa():
    return pytest.importorskip("pyarrow", reason="pyarrow is not installed")


def parquet_of(pa, path, columns, **options):
    from pyarrow import parquet
    parquet.write_table(pa.table(columns), path, **options)
    prefix = f"{path}, "
    return [str(row).removeprefix(prefix) if isinstance(row, ManifestError) else row for row in read_list(path)]


def test_parquet_has_rows_by_the_names_of_its_columns(pa, tmp_path):
    headers = pa.array([[("A", "b"), ("A", "c")], None, []], pa.map_(pa.string(), pa.string()))
    assert parquet_of(pa, tmp_path / "a.parquet", {
        "caption": ["x", "y", "z"], "url": ["a", "b", "c"], "size": [5, None, 0], "mirrors": [["m"], [], None],
        "headers": headers,
        "checksum": ["x:1", None, None], "out": pa.array(["f", "g", None]).dictionary_encode()}) == [
        {"url": "a", "out": "f", "size": 5, "mirrors": ["m"], "headers": [["A", "b"], ["A", "c"]], "checksum": "x:1"},
        {"url": "b", "out": "g"}, {"url": "c", "size": 0}]


def test_parquet_headers_may_be_structs_or_lists(pa, tmp_path):
    assert parquet_of(pa, tmp_path / "a.parquet",
                      {"url": ["a", "b"], "headers": [{"A": "b", "C": None}, {"A": None, "C": "d"}]}) == [
        {"url": "a", "headers": [["A", "b"]]}, {"url": "b", "headers": [["C", "d"]]}]
    assert parquet_of(pa, tmp_path / "b.parquet",
                      {"url": ["a"], "headers": [[["A", "b"]]]}) == [{"url": "a", "headers": [["A", "b"]]}]


def test_parquet_row_that_cannot_be_read_is_an_error_and_the_next_is_read(pa, tmp_path):
    broken = pa.array([b"a", b"\xff", b"c"]).cast(pa.binary()).view(pa.string())
    assert parquet_of(pa, tmp_path / "a.parquet", {"url": broken, "size": [1, 2, -3]}) == [
        {"url": "a", "size": 1}, "row 2: a value is no text in UTF-8", "row 3: size must be a whole number of bytes, 0 or more"]


def test_parquet_is_read_batch_by_batch(pa, tmp_path, monkeypatch):
    monkeypatch.setattr(metalink, "BATCH_ROWS", 10)
    urls = [str(n) for n in range(95)]
    assert parquet_of(pa, tmp_path / "a.parquet", {"url": urls}, row_group_size=30) == [{"url": url} for url in urls]


@pytest.mark.parametrize("data, error", [(b"", "it cannot be read as Parquet"), (b"PAR1" * 9, "it cannot be read as Parquet")])
def test_parquet_that_is_none_is_an_error(pa, tmp_path, data, error):
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    [found] = read_list(path)
    assert str(found).startswith(f"{path}: {error}")


def test_parquet_without_a_column_url_is_an_error(pa, tmp_path):
    assert parquet_of(pa, tmp_path / "a.parquet", {"link": ["a"]}) == [f"{tmp_path}/a.parquet: it has no column url"]

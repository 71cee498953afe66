"""names: what files are called, whatever a URL, a server or a manifest says."""
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qhttp.bulk.names import (
    DISPOSITION_CAP,
    NAME_CAP,
    PARAMETERS_CAP,
    name_from_disposition,
    name_from_target,
    place,
    safe_name,
)

SAFE = [     # text, what it becomes
    ("a.txt", "a.txt"), ("a", "a"), ("A-b_c.tar.gz", "A-b_c.tar.gz"), ("a b.txt", "a b.txt"), ("caf\xe9.txt", "caf\xe9.txt"),
    ("\u65e5\u672c.txt", "\u65e5\u672c.txt"), ("\U0001f600", "\U0001f600"), (".hidden", ".hidden"), ("..x", "..x"),
    ("-rf", "-rf"),
    ("a&b;$(c)`d`'\"|<>*?:", "a&b;$(c)`d`'\"|<>*?:"), ("%2F", "%2F"), ("~", "~"),
    ("", "_"), (".", "_"), ("..", "_"), ("...", "_"), (" ", "_"), (" . ", "_"), ("\u3000", "_"),
    ("a/b", "a_b"), ("../a", ".._a"), ("/etc/passwd", "_etc_passwd"), ("a\\b", "a_b"), ("..\\..\\a", ".._.._a"), ("/", "_"),
    ("\\", "_"),
    ("a\0.txt", "a_.txt"), ("a\r\nb", "a__b"), ("\x1b[2Ja", "_[2Ja"), ("a\x7f", "a_"), ("a\x85b\x9b", "a_b_"), ("\t", "_"),
    ("a\u202egpj.exe", "a_gpj.exe"), ("\u2066a\u2069\u200f\u061c", "_a___"), ("a\u2028b\u2029", "a_b_"), ("\ufeffa", "_a"),
    ("a\ud800b\udcff", "a_b_"),
    ("a.", "a"), ("a...", "a"), ("a. . ", "a"), (" a ", "a"), ("\xa0a\u2003.", "a"), ("a .txt", "a .txt"), ("a.txt ", "a.txt"),
    ("con", "_con"), ("CON", "_CON"), ("con.txt", "_con.txt"), ("Nul.tar.gz", "_Nul.tar.gz"), ("aux.", "_aux"),
    ("prn ", "_prn"),
    ("com1", "_com1"), ("COM0", "_COM0"), ("lpt9.x", "_lpt9.x"), ("com\xb9", "_com\xb9"), ("LPT\xb3.txt", "_LPT\xb3.txt"),
    ("con .txt", "_con .txt"), ("con     .txt", "_con     .txt"), ("con:x", "_con:x"), ("conin$", "_conin$"),
    ("CONOUT$.x", "_CONOUT$.x"),
    ("con\u2003.x", "_con\u2003.x"),
    ("console", "console"), ("com", "com"), ("com10", "com10"), ("conx.txt", "conx.txt"), ("x.con", "x.con"), ("null", "null"),
    ("a.part", "a.part_"), ("a.parts", "a.parts_"), ("A.PART", "A.PART_"), (".part", ".part_"), ("part", "part"),
    ("a.part.gz", "a.part.gz"),
    ("a.part.", "a.part_"), ("a.part ", "a.part_"), ("con.part", "_con.part_"), ("a_part", "a_part"),
]


@pytest.mark.parametrize("text, expected", SAFE)
def test_safe_name_text_becomes_one_component(text, expected):
    assert safe_name(text) == expected
    assert safe_name(expected) == expected


@pytest.mark.parametrize("text, expected", [
    ("a" * NAME_CAP, "a" * NAME_CAP),
    ("a" * 241, "a" * 238), ("a" * 300 + ".txt", "a" * 234 + ".txt"), ("a" * 300 + ".tar.gz", "a" * 231 + ".tar.gz"),
    ("a" * 300 + ".TAR.GZ", "a" * 231 + ".TAR.GZ"), ("\xe9" * 200 + ".txt", "\xe9" * 117 + ".txt"),
    ("\xe9" * 120, "\xe9" * 120),
    ("\u65e5" * 100, "\u65e5" * 79), ("\U0001f600" * 100 + ".x", "\U0001f600" * 59 + ".x"),
    ("a" + "\xe9" * 200, "a" + "\xe9" * 118),
    ("a." + "x" * 300, "a." + "x" * 236), ("." + "x" * 300, "." + "x" * 237), ("a" * 300 + ".", "a" * 238),
    ("a" * 300 + ".part", "a" * 232 + ".part_"), ("a" * 233 + ".part" + "z" * 99, "a" * 233 + ".part_"),
    ("con" + " " * 300 + "x", "_con"), ("con" + " " * 300 + ".x", "_con" + " " * 232 + ".x"), ("a" + "." * 300 + "x" * 99, "a"),
])
def test_safe_name_long_text_is_cut_at_a_character_and_keeps_its_extension(text, expected):
    assert safe_name(text) == expected
    assert safe_name(expected) == expected
    assert len(expected.encode()) <= NAME_CAP


def is_safe(name):
    stem = name.partition(".")[0].rstrip().upper()
    return (name not in ("", ".", "..") and not set(name) & set("/\\\0\r\n\x1b\x7f\x85\u202e\u2066")
            and len(name.encode()) <= NAME_CAP and name == name.strip() and not name.endswith(".")
            and not name.lower().endswith((".part", ".parts"))
            and stem not in ("CON", "NUL", "PRN", "AUX", "COM1", "LPT1"))


PIECES = ["..", ".", "/", "\\", "con", "NUL", ".part", ".parts", " ", "\0", "\u202e", "\ud800", "a", "\xe9" * 60, "x" * 120,
          ".tar", ".gz", ":",
          "%2f", "%ff", "\xa0", "com1", "\x85"]
HOSTILE = st.one_of(st.text(max_size=300), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))


@given(HOSTILE)
@settings(deadline=None, max_examples=300)
def test_safe_name_any_text_is_safe_and_stays_so(text):
    name = safe_name(text)
    assert is_safe(name)
    assert safe_name(name) == name


# -- of a target
@pytest.mark.parametrize("target, expected", [
    (b"/a/b.txt", "b.txt"), (b"/b.txt?x=/y.txt", "b.txt"), (b"/", "index.html"), (b"/a/", "index.html"),
    (b"/?a/b", "index.html"),
    (b"/a", "a"), (b"/a%20b.txt", "a b.txt"), (b"/caf%C3%A9.txt", "caf\xe9.txt"), (b"/%E6%97%A5", "\u65e5"), (b"/a+b", "a+b"),
    (b"/a;v=1", "a;v=1"), (b"/a%2541", "a%41"),
    (b"/caf%E9.txt", "caf%E9.txt"), (b"/%c3%A9%fF.txt", "\xe9%FF.txt"), (b"/%C0%AE%C0%AE%2F", "%C0%AE%C0%AE_"),
    (b"/%ED%A0%80", "%ED%A0%80"),
    (b"/a%", "a%"), (b"/a%zz", "a%zz"), (b"/a%4", "a%4"),
    (b"/.", "_"), (b"/..", "_"), (b"/%2e%2e", "_"), (b"/%2E", "_"), (b"/x/%2e%2e%2fetc%2Fpasswd", ".._etc_passwd"),
    (b"/..%5c..%5Cx", ".._.._x"),
    (b"/a%00.txt", "a_.txt"), (b"/%0d%0aX", "__X"), (b"/%E2%80%AEgpj.exe", "_gpj.exe"), (b"/con", "_con"),
    (b"/NUL.txt", "_NUL.txt"),
    (b"/a.part", "a.part_"), (b"/a%2Eparts", "a.parts_"), (b"/a.", "a"), (b"/a%20", "a"), (b"/%20", "_"), (b"/a...", "a"),
    (b"/" + b"a" * 300 + b".gz", "a" * 235 + ".gz"), (b"/" + b"%C3%A9" * 200, "\xe9" * 119),
])
def test_name_from_target_is_its_last_segment(target, expected):
    assert name_from_target(target) == expected


@given(st.lists(st.one_of(st.sampled_from([b"%2e", b"%2f", b"/", b".", b"con", b"%00", b"%ff", b"%", b".part", b"?",
        b"%E2%80%AE"]),
                          st.binary(max_size=5)), max_size=10).map(b"".join))
@settings(deadline=None)
def test_name_from_target_any_bytes_give_a_safe_name(target):
    assert is_safe(name_from_target(b"/" + target))


# -- of a Content-Disposition
@pytest.mark.parametrize("value, expected", [
    ("attachment; filename=a.txt", "a.txt"), ('attachment; filename="a.txt"', "a.txt"), ("inline; filename=a.txt", "a.txt"),
    ("ATTACHMENT;FILENAME=a.txt", "a.txt"), ('attachment ;\tfilename = "a.txt" ;', "a.txt"), ("attachment;;filename=a", "a"),
    ('attachment; filename="a b; c=d.txt"; x=y', "a b; c=d.txt"), ('attachment; x="filename=no"; filename=yes', "yes"),
    ('attachment; x=";filename=no"; filename=yes', "yes"),
    (r'attachment; filename="a\"b.txt"', 'a"b.txt'), (r'attachment; filename="\a\.\t"', "a.t"),
    (r'attachment; filename="a\\b.txt"', "b.txt"),
    (r'attachment; filename="C:\\dir\\a.txt"', "a.txt"), ('attachment; filename="/etc/passwd"', "passwd"),
    ('attachment; filename="../../a.txt"', "a.txt"), (r'attachment; filename="..\\..\\a/b\\c.txt"', "c.txt"),
    # RFC 6266 section 5
    ("Attachment; filename=example.html", "example.html"), ('INLINE; FILENAME= "an example.html"', "an example.html"),
    ("attachment;\n filename*= UTF-8''%e2%82%ac%20rates".replace("\n", ""), "\u20ac rates"),
    ("attachment; filename=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates", "\u20ac rates"),
    ("attachment; filename*=utf-8'en'b; filename=a", "b"), ("attachment; filename*=ISO-8859-1'en'%A3%20rates", "\xa3 rates"),
    ("attachment; filename*=UTF-8''a%2Fb%5Cc.txt", "c.txt"), ("attachment; filename*=UTF-8''%2e%2e%2f", None),
    # an extended value that cannot be used is as if it were not there
    ("attachment; filename*=UTF-8''%ff; filename=a", "a"), ("attachment; filename*=UTF-16''a; filename=b", "b"),
    ("attachment; filename*=a; filename=b", "b"), ("attachment; filename*=\"UTF-8''a\"; filename=b", "b"),
    ("attachment; filename*=UTF-8''\xe9; filename=b", "b"), ("attachment; filename*=UTF-8''; filename=b", "b"),
    ("attachment; filename*=UTF-8''%ff", None), ("attachment; filename*0=a; filename*1=b", None),
    # what is common and wrong
    ("attachment; filename=my file.txt", "my file.txt"), ("attachment; filename=my file.txt; x=y", "my file.txt"),
    ("filename=a", "a"),
    ("attachment; filename=a%20b", "a%20b"), ('attachment; filename="=?UTF-8?B?YQ==?="', "=?UTF-8?B?YQ==?="),
    ('attachment; filename="caf\xc3\xa9"', "caf\xe9"), ('attachment; filename="caf\xe9"', "caf\xe9"),
    ("attachment; filename=\u20ac", "\u20ac"),
    ("attachment; filename=a; filename=b", "a"), ("attachment; filename=a'b", "a'b"),
    # nothing to be used
    ("", None), ("attachment", None), (";", None), ("attachment; filename", None), ("attachment; filename=", None), ("=", None),
    ('attachment; filename=""', None), ('attachment; filename="a', None), ('attachment; filename="a\\', None),
    ('attachment; filename="', None),
    ('attachment; filename="a"b', None), ('attachment; filename="."', None), ('attachment; filename=".."', None),
    ('attachment; filename="a/"', None), ('attachment; filename="/"', None), ('attachment; filename="x\\\\"', None),
    ('attachment; filename=" . "', None), ("attachment; xfilename=a", None), ("attachment filename=a", None),
    # made safe
    ('attachment; filename=".bashrc"', "_bashrc"), ("attachment; filename*=UTF-8''%2Essh", "_ssh"),
    ('attachment; filename="con.txt"', "_con.txt"),
    ("attachment; filename*=UTF-8''a%00%0A%E2%80%AEb", "a___b"), ('attachment; filename="a.part"', "a.part_"),
    ("attachment; filename=" + "a" * 300 + ".txt", "a" * 234 + ".txt"), ('attachment; filename="a\0b"', "a_b"),
])
def test_name_from_disposition_is_read(value, expected):
    assert name_from_disposition(value) == expected


def test_name_from_disposition_beyond_the_bounds_is_not_read():
    fits = "attachment; filename=a; x=" + "x" * DISPOSITION_CAP
    assert name_from_disposition(fits[:DISPOSITION_CAP]) == "a"
    assert name_from_disposition(fits[:DISPOSITION_CAP + 1]) is None
    assert name_from_disposition("attachment; filename=a" + "; x=y" * (PARAMETERS_CAP - 1)) == "a"
    assert name_from_disposition("attachment; filename=a" + "; x=y" * (PARAMETERS_CAP + 1)) is None


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(
    ["attachment", "filename", "*", "=", '"', "\\", ";", "UTF-8''", "%2f", "%ff", "/", "..", ".", " ", "a", "\xe9", "con",
    "\0", "\ud800"]),
    max_size=14).map("".join)))
@settings(deadline=None, max_examples=300)
def test_name_from_disposition_any_text_gives_a_safe_name_or_none(value):
    for text in (value, "x; filename=" + value, 'x; filename="' + value + '"', "x; filename*=UTF-8''" + value):
        name = name_from_disposition(text)
        assert name is None or (is_safe(name) and not name.startswith("."))


@pytest.mark.parametrize("piece", [";", '"', "\\", "=", " ", ';x="', "/", "%"])
def test_name_from_disposition_longest_value_ends(piece):
    name_from_disposition(('x; filename="' + piece * DISPOSITION_CAP)[:DISPOSITION_CAP])


# -- in a folder
@pytest.mark.parametrize("folder, out, expected", [
    ("d", "a.txt", "d/a.txt"), ("d/", "a.txt", "d/a.txt"), ("/", "a", "/a"), (".", "a", "./a"),
    ("/x/y", "a/b/c.txt", "/x/y/a/b/c.txt"),
    ("d", "caf\xe9/a b", "d/caf\xe9/a b"), ("d", ".hidden/x", "d/.hidden/x"), ("d", "..a/b..c", "d/..a/b..c"),
    ("d", "%2e%2e", "d/%2e%2e"),
    ("d", "a" * NAME_CAP + "/b", "d/" + "a" * NAME_CAP + "/b"), ("", "a/b", "a/b"),
])
def test_place_good_name_is_inside_the_folder(folder, out, expected):
    assert place(folder, out) == expected


@pytest.mark.parametrize("out", [
    "", "/", "/etc/passwd", "//a", "a//b", "a/", "..", "../a", "a/../b", "a/..", ".", "./a", "a/./b", "...", "a/ /b",
    "a\\b", "\\", "..\\a", "C:\\a", "\\\\host\\share", "a\0b", "a\n", "\x1b[2J", "a\x7f", "a\x85", "a\u202eb", "a\u2028",
    "\ud800",
    "con", "CON", "a/nul/b", "Com1.txt", "lpt1 .x", "aux.", "a.", "a ", " a", "a/b. /c", "a.part", "a.PARTS", "a.part/b",
    "a" * (NAME_CAP + 1), "\xe9" * 121, "a/" + "b" * 300 + "/c",
])
def test_place_name_that_is_not_safe_is_refused(out):
    with pytest.raises(ValueError, match="out must be a relative path"):
        place("d", out)


@given(HOSTILE)
@settings(deadline=None, max_examples=200)
def test_place_any_text_stays_in_the_folder_or_is_refused(out):
    try:
        path = place("d", out)
    except ValueError:
        return
    assert path == "d/" + out and all(map(is_safe, out.split("/")))

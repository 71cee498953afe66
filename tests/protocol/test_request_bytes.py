"""request: targets, fields and heads; what is sent byte for byte, and what is never sent."""
import pytest

from qhttp.protocol.request import check_fields, check_target, full_head, head_tail, simple_head

CONTROLS = [chr(n) for n in range(32)] + ["\x7f"]
VISIBLE = "".join(chr(n) for n in range(33, 127))
NO_BODY, CHUNKED = (None, False), (None, True)        # body_len, is_chunked


# -- check_target
@pytest.mark.parametrize("path, target", [
    ("/", b"/"), ("/a/b?c=d&e#f", b"/a/b?c=d&e#f"), ("*", b"*"), ("", b""), ("http://h:80/x", b"http://h:80/x"),
    ("/%20%00%0d%0a", b"/%20%00%0d%0a"), (VISIBLE, VISIBLE.encode()), (b"/bytes", b"/bytes"), (bytearray(b"/x"), b"/x"),
    ("/" + "a" * 100_000, b"/" + b"a" * 100_000),
])
def test_check_target_good_path_is_what_is_sent(path, target):
    sent = check_target(path)
    assert sent == target and type(sent) is bytes


@pytest.mark.parametrize("bad", [*CONTROLS, " "])
@pytest.mark.parametrize("form", ["{}", "/{}", "/a{}b", "/a{}"])
def test_check_target_blank_or_control_character_is_refused(form, bad):
    for path in (form.format(bad), form.format(bad).encode()):
        with pytest.raises(ValueError, match="path"):
            check_target(path)


@pytest.mark.parametrize("path", ["/\xe4", "/\u20ac", "/\U0001f600", "/\ud800", "/\x80", "/\xa0", "/\u2028", b"/\xe4",
                                  b"/\x80"])
def test_check_target_outside_ascii_is_refused(path):
    with pytest.raises(ValueError, match="path"):
        check_target(path)


@pytest.mark.parametrize("path", [None, 5, ["/"], object(), memoryview(b"/")])
def test_check_target_of_another_type_is_refused(path):
    with pytest.raises(TypeError, match="path"):
        check_target(path)


@pytest.mark.parametrize("path", ["/x?password=secret and", "/x?password=secret\xe4", b"/x?password=secret\r\n"])
def test_check_target_complaint_does_not_show_the_query(path):
    with pytest.raises(ValueError) as caught:
        check_target(path)
    assert "secret" not in str(caught.value)


# -- simple_head
def test_simple_head_is_as_the_original_sends_it():
    assert simple_head(b"HEAD ", b"/p", head_tail(b"h:81")) == (
        b"HEAD /p HTTP/1.1\r\nConnection: Keep-Alive\r\nHost: h:81\r\n\r\n")


# -- check_fields
@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "M-SEARCH", "get", "!#$%&'*+-.^_`|~"])
def test_check_fields_good_method_passes(method):
    check_fields(method, [], False)


@pytest.mark.parametrize("method", ["", " GET", "GET ", "GE T", "GET\r\n", "G\x00T", "G\xcbT", "G:T", "G/T", "CONNECT",
                                    "\ud800"])
def test_check_fields_bad_method_is_refused(method):
    with pytest.raises(ValueError):
        check_fields(method, [], False)


@pytest.mark.parametrize("value", ["", "x", " x ", "a\tb", "\xe4\xff\x80", VISIBLE, "a" * 100_000])
def test_check_fields_good_value_passes(value):
    check_fields("GET", [("Name", value)], False)


@pytest.mark.parametrize("bad", [c for c in CONTROLS if c != "\t"])
@pytest.mark.parametrize("form", ["{}", "a{}b", "{}a", "a{}"])
def test_check_fields_control_character_in_a_value_is_refused(form, bad):
    with pytest.raises(ValueError, match="value of Name"):
        check_fields("GET", [("First", "good"), ("Name", form.format(bad))], False)


@pytest.mark.parametrize("value", ["\u0100", "\u20ac", "\u2028", "\ud800", "\U0001f600"])
def test_check_fields_value_outside_latin_1_is_refused(value):
    with pytest.raises(ValueError, match="value of Name"):
        check_fields("GET", [("Name", value)], False)


@pytest.mark.parametrize("name", ["", " Name", "Name ", "Na me", "Name:", "N\xe4me", "Na\r\nme", "Na\x00me", "(x)",
                                  "\u20ac", "\ud800"])
def test_check_fields_name_that_is_no_token_is_refused(name):
    with pytest.raises(ValueError):
        check_fields("GET", [(name, "x")], False)


@pytest.mark.parametrize("name", ["Transfer-Encoding", "transfer-encoding", "TRANSFER-ENCODING"])
@pytest.mark.parametrize("has_body", [False, True])
def test_check_fields_transfer_encoding_is_refused(name, has_body):
    with pytest.raises(ValueError, match="Transfer-Encoding"):
        check_fields("POST", [(name, "chunked")], has_body)


@pytest.mark.parametrize("lengths", [["5", "6"], ["5", "5", "6"], ["5", "05"]])
def test_check_fields_lengths_that_differ_are_refused(lengths):
    with pytest.raises(ValueError, match="Content-Length"):
        check_fields("POST", [("Content-Length", length) for length in lengths], True)


@pytest.mark.parametrize("length", ["5", " 5 ", "-1", "x", "1 0", "0x5", "+0", ""])
def test_check_fields_length_without_a_body_is_refused(length):
    with pytest.raises(ValueError, match="Content-Length"):
        check_fields("POST", [("content-length", length)], False)


@pytest.mark.parametrize("lengths, has_body", [(["5"], True), (["5", "5"], True), (["0"], False), (["0", "0"], False),
                                              ([], True)])
def test_check_fields_length_that_can_be_put_right_passes(lengths, has_body):
    check_fields("POST", [("Content-Length", length) for length in lengths], has_body)


# -- full_head
@pytest.mark.parametrize("fields, body, lines", [
    ([], NO_BODY, b""),
    ([("A", "1"), ("b", "2"), ("A", "3")], NO_BODY, b"A: 1\r\nb: 2\r\nA: 3\r\n"),
    ([("A", "")], NO_BODY, b"A: \r\n"),
    ([("A", "\xe4")], NO_BODY, b"A: \xe4\r\n"),
    ([("A", "1")], (7, False), b"A: 1\r\ncontent-length: 7\r\n"),
    ([("A", "1")], (0, False), b"A: 1\r\ncontent-length: 0\r\n"),
    ([("Content-Length", "5"), ("A", "1")], (7, False), b"Content-Length: 7\r\nA: 1\r\n"),
    ([("A", "1"), ("CONTENT-LENGTH", "5"), ("content-length", "5")], (7, False), b"A: 1\r\nCONTENT-LENGTH: 7\r\n"),
    ([("Content-Length", "0")], NO_BODY, b"Content-Length: 0\r\n"),
    ([("A", "1")], CHUNKED, b"A: 1\r\nTransfer-Encoding: chunked\r\n"),
    ([("Content-Length", "5"), ("A", "1")], CHUNKED, b"A: 1\r\nTransfer-Encoding: chunked\r\n"),
])
def test_full_head_sends_the_fields_with_the_bodys_own_length(fields, body, lines):
    assert full_head(b"PUT", b"/p?q", 1, fields, *body) == b"PUT /p?q HTTP/1.1\r\n" + lines + b"\r\n"


@pytest.mark.parametrize("minor", [0, 1])
def test_full_head_has_the_version_that_was_asked_for(minor):
    assert full_head(b"GET", b"/", minor, [], *NO_BODY) == b"GET / HTTP/1.%d\r\n\r\n" % minor

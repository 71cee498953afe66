"""The header classes: recorded behaviour of the Qt 4 classes (data/headers.json), then what Python adds to it.

Each group of the data is a class, the constructor's arguments and calls with their results, done in order on one object.
"""

import copy
import json
import pickle
from pathlib import Path

import pytest

from qhttp import headers
from qhttp.header_base import received_header
from qhttp.headers import QHttpHeader, QHttpRequestHeader, QHttpResponseHeader

GROUPS = json.loads((Path(__file__).parent / "data" / "headers.json").read_text())
BLOCK = b"HTTP/1.0 404 Not Found\r\nServer:  s \r\nX-Fold: a\r\n  b\r\nserver: \xfc\r\n\r\n"
PARTS = (1, 0, 404, "Not Found", [("Server", "s"), ("X-Fold", "a b"), ("server", "\xfc")])


@pytest.fixture
def describer(monkeypatch):
    """Stands in for the core: a list of the blocks it was asked to take apart."""
    asked = []
    monkeypatch.setattr("qhttp.header_base.describe_head", lambda block: asked.append(block) or PARTS)
    return asked


@pytest.fixture(params=["read", "called", "copied", "pickled"])
def request_header(request):
    header = QHttpRequestHeader("GET", "/x", 1, 0)
    header.setValues([("A", "1"), ("b", "2"), ("a", "3")])
    ways = {"called": lambda h: h, "read": lambda h: QHttpRequestHeader(h.toString()), "copied": copy.copy,
            "pickled": lambda h: pickle.loads(pickle.dumps(h))}
    return ways[request.param](header)


# Recorded ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group["name"])
def test_header_recorded_calls_same_results(group):
    header = getattr(headers, group["class"])(*group["ctor"])
    for (call, *args), want in group["results"]:
        target = header
        if call == "copyThenMutateCopy":
            target, call = type(header)(header), "toString"
            target.setValue("X-Copy", "1")
        got = getattr(target, call)(*args)
        if call in ("values", "setValues"):
            got = got and [list(pair) for pair in got]
        assert got == want, (call, args)


# Fields --------------------------------------------------------------------------------------------------
def test_header_however_made_same_answers(request_header):
    assert request_header.toString() == "GET /x HTTP/1.0\r\nA: 1\r\nb: 2\r\na: 3\r\n\r\n"
    assert request_header.allValues("a") == ["1", "3"]
    assert request_header.keys() == ["A", "b"]


def test_remove_value_several_of_a_key_removes_the_first(request_header):
    request_header.removeValue("A")
    assert request_header.values() == [("b", "2"), ("a", "3")]
    request_header.removeValue("none")
    assert request_header.values() == [("b", "2"), ("a", "3")]


def test_values_list_changed_header_unchanged(request_header):
    request_header.values().clear()
    assert len(request_header.values()) == 3


def test_set_values_not_a_pair_nothing_changes(request_header):
    for values in (5, "ab", ["ab"], {"ab": "1"}, [("a",)], [("a", "b", "c")], [("a", 1)], [(b"a", "1")]):
        with pytest.raises(TypeError, match="values"):
            request_header.setValues(values)
    assert len(request_header.values()) == 3


@pytest.mark.parametrize("text,length", [
    ("0" * 9000 + "5", 5), ("9" * 9000, 0), ("++5", 0), ("", 0), ("+", 0), ("\xb2", 0), ("\u0665", 0),
], ids=["leading zeros", "huge", "two signs", "empty", "sign only", "superscript", "arabic digit"])
def test_content_length_odd_number_no_surprise(text, length):
    header = QHttpRequestHeader()
    header.setValue("Content-Length", text)
    assert header.contentLength() == length


def test_set_content_length_64_bits_kept_beyond_refused():
    header = QHttpRequestHeader("PUT", "/")
    header.setContentLength(5 << 30)
    assert header.value("Content-Length") == "5368709120"
    with pytest.raises(ValueError, match="length"):
        header.setContentLength(1 << 63)


# Text ----------------------------------------------------------------------------------------------------
def test_read_folded_line_joined_by_one_blank():
    header = QHttpResponseHeader("HTTP/1.1 200 OK\r\nA: 1\r\n \t 2\r\n\r\nB: 3\r\n")
    assert header.values() == [("A", "1 2"), ("B", "3")]


def test_read_status_line_blanks_become_one():
    header = QHttpResponseHeader(" HTTP/1.0\t\t404   Not   Found \r\n\r\n")
    assert header.toString() == "HTTP/1.0 404 Not Found\r\n\r\n"


@pytest.mark.parametrize("text", [
    "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 x", "HTTP/1.1x 200", "ICY 200 OK", "HTTP/\u0661.1 200 OK", "HTTP/1,1 200 OK",
])
def test_read_status_line_malformed_invalid(text):
    header = QHttpResponseHeader(text + "\r\nA: 1\r\n\r\n")
    assert not header.isValid() and header.values() == []
    assert header.toString() == "HTTP/1.1 0 \r\n\r\n"


@pytest.mark.parametrize("text", ["", "  ", "\n", "\r\n\r\n"])
def test_read_nothing_valid(text):
    assert QHttpRequestHeader(text).isValid() and QHttpResponseHeader(text).isValid()


def test_set_status_line_only_code_clears_reason_keeps_fields():
    header = QHttpResponseHeader("HTTP/1.0 404 Not Found\r\nA: 1\r\n\r\n")
    header.setStatusLine(200)
    assert header.toString() == "HTTP/1.1 200 \r\nA: 1\r\n\r\n"


def test_header_latin1_text_kept_through_text():
    header = QHttpResponseHeader(200, "\xc4\xe9")
    header.addValue("X-\xc9", "\xfc")
    again = QHttpResponseHeader(header.toString().encode("latin-1").decode("latin-1"))
    assert again == header and again.value("x-\xe9") == "\xfc"


def test_default_version_and_status_are_set():
    assert QHttpRequestHeader().toString() == "  HTTP/1.1\r\n\r\n"
    header = QHttpResponseHeader()
    assert (header.statusCode(), header.majorVersion(), header.minorVersion()) == (0, 1, 1)


# Arguments -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("call,name", [
    (lambda: QHttpRequestHeader(5), "text"),
    (lambda: QHttpRequestHeader(b"GET / HTTP/1.1"), "text"),
    (lambda: QHttpRequestHeader(QHttpResponseHeader(200)), "text"),
    (lambda: QHttpRequestHeader("GET", None), "path"),
    (lambda: QHttpRequestHeader(None, "/"), "method"),
    (lambda: QHttpRequestHeader("GET", "/", "1"), "major"),
    (lambda: QHttpRequestHeader("GET", "/", 1, 1.0), "minor"),
    (lambda: QHttpResponseHeader(200.0), "text"),
    (lambda: QHttpResponseHeader("200", "OK"), "code"),
    (lambda: QHttpResponseHeader(200, b"OK"), "text"),
    (lambda: QHttpRequestHeader().setValue(b"A", "1"), "key"),
    (lambda: QHttpRequestHeader().setValue("A", 1), "value"),
    (lambda: QHttpRequestHeader().addValue("A", None), "value"),
    (lambda: QHttpRequestHeader().value(None), "key"),
    (lambda: QHttpRequestHeader().allValues(1), "key"),
    (lambda: QHttpRequestHeader().removeAllValues(1), "key"),
    (lambda: QHttpRequestHeader().setContentLength("1"), "length"),
    (lambda: QHttpRequestHeader().setContentType(1), "value"),
])
def test_argument_wrong_type_named_in_type_error(call, name):
    with pytest.raises(TypeError, match=f"^{name} must be "):
        call()


@pytest.mark.parametrize("args", [(1 << 31,), (-(1 << 31) - 1,), (200, "", 1 << 31), (200, "", 1, 1 << 31)])
def test_status_line_number_beyond_int_value_error(args):
    with pytest.raises(ValueError):
        QHttpResponseHeader(*args)


def test_set_request_wrong_argument_nothing_changes():
    header = QHttpRequestHeader()
    with pytest.raises(TypeError):
        header.setRequest("GET", "/", 1, "1")
    assert header == QHttpRequestHeader() and not header.isValid()


def test_base_class_called_type_error():
    with pytest.raises(TypeError, match="abstract"):
        QHttpHeader()


# Python's manners ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("copied", [QHttpRequestHeader, copy.copy, copy.deepcopy])
def test_copy_either_changed_other_unchanged(copied, request_header):
    other = copied(request_header)
    assert other == request_header
    other.addValue("new", "1")
    request_header.setRequest("PUT", "/y")
    assert not request_header.hasKey("new") and other.method() == "GET"


def test_copy_of_subclass_keeps_class_and_attributes():
    class Tagged(QHttpRequestHeader):
        pass

    header = Tagged("GET", "/")
    header.tag = 5
    other = copy.copy(header)
    assert type(other) is Tagged and other.tag == 5 and other == header == QHttpRequestHeader(header)


def test_equality_line_fields_and_validity_count(request_header):
    other = QHttpRequestHeader(request_header)
    other.setValue("A", "2")
    assert other != request_header
    assert QHttpRequestHeader("GET", "/") != QHttpRequestHeader("GET", "/", 1, 0)
    assert QHttpRequestHeader() != QHttpRequestHeader("", "")
    assert QHttpRequestHeader() != QHttpResponseHeader() and QHttpRequestHeader() != ""
    with pytest.raises(TypeError):
        hash(request_header)


@pytest.mark.parametrize("path,shown", [
    ("/a@b?token=geheim", "/a@b"), ("/a#geheim?x", "/a"), ("http://h/a?x=geheim", "http://h/a"), ("http://u:geheim@h/", "..."),
    ("http://u:ge?heim@h/", "..."), ("//u:geheim@h/", "..."), ("u:geheim@h:1", "..."), ("/a\r\nb", "/a\\r\\nb"),
])
def test_repr_path_shown_without_secrets(path, shown):
    header = QHttpRequestHeader("GET", path)
    header.setValue("Authorization", "Basic geheim")
    assert repr(header) == f"<QHttpRequestHeader 'GET {shown} HTTP/1.1', fields: 1>"


def test_repr_invalid_header_says_so():
    assert repr(QHttpResponseHeader()) == "<QHttpResponseHeader 'HTTP/1.1 0 ', fields: 0, invalid>"
    assert "geheim" not in repr(QHttpRequestHeader("/x?token=geheim"))


def test_str_same_as_to_string(request_header):
    assert str(request_header) == request_header.toString()


# From the wire -------------------------------------------------------------------------------------------
def test_block_taken_apart_once_and_not_before_asked(describer):
    header = received_header(QHttpResponseHeader, BLOCK)
    assert header.isValid() and describer == []
    assert header.statusCode() == 404 and header.value("x-fold") == "a b" and header.minorVersion() == 0
    assert describer == [BLOCK]


def test_block_same_as_built_by_calls(describer):
    built = QHttpResponseHeader(404, "Not Found", 1, 0)
    for key, value in PARTS[-1]:
        built.addValue(key, value)
    assert received_header(QHttpResponseHeader, BLOCK).toString() == built.toString()
    assert received_header(QHttpResponseHeader, BLOCK) == built


@pytest.mark.parametrize("change", [
    lambda h: h.setStatusLine(200, "OK"), lambda h: h.setValues([("A", "1")]), lambda h: h.setValue("server", "t"),
    lambda h: h.addValue("A", "1"), lambda h: h.removeValue("server"), lambda h: h.removeAllValues("server"),
])
def test_block_changed_before_read_change_stays(describer, change):
    untouched, lazy = received_header(QHttpResponseHeader, BLOCK), received_header(QHttpResponseHeader, BLOCK)
    eager = QHttpResponseHeader(untouched)
    change(lazy)
    change(eager)
    assert lazy == eager != untouched


@pytest.mark.parametrize("copied", [QHttpResponseHeader, copy.copy, copy.deepcopy, lambda h: pickle.loads(pickle.dumps(h))])
def test_block_copied_unread_copy_is_independent(describer, copied):
    header = received_header(QHttpResponseHeader, BLOCK)
    other = copied(header)
    other.removeAllValues("Server")
    assert other.keys() == ["X-Fold"] and header.allValues("Server") == ["s", "\xfc"]


def test_block_unknown_attribute_attribute_error(describer):
    header = received_header(QHttpResponseHeader, BLOCK)
    with pytest.raises(AttributeError, match="'QHttpResponseHeader' object has no attribute 'status'"):
        header.status  # noqa: B018
    assert describer == []


def test_block_real_core_same_parts():
    header = received_header(QHttpResponseHeader, BLOCK)
    assert header.toString() == ("HTTP/1.0 404 Not Found\r\nServer: s\r\nX-Fold: a b\r\nserver: \xfc\r\n\r\n")

"""What is said on stderr: short, bounded, and nothing secret."""
import io

import pytest

from qhttp import errors
from qhttp.cli.exits import MEANINGS, Failures, advice_for, kind_of
from qhttp.cli.messages import NORMAL, QUIET, VERBOSE, Messages
from qhttp.cli.telling import without_credentials
from qhttp.protocol.shown import one_line, shown_url


@pytest.mark.parametrize("url, shown", [
    ("http://example.org/a/b", "http://example.org/a/b"),
    ("http://joe:secret@example.org/a?token=secret#secret", "http://example.org/a"),
    ("http://joe@secret:x@example.org", "http://example.org"),
    ("http://example.org/a@b", "http://example.org/a@b"),
    ("http://example.org?secret", "http://example.org"),
    ("joe:secret@example.org", "example.org"),
    ("http://joe:sec/ret@example.org/", "http://..."), ("http://joe:sec?ret@example.org/", "http://..."),
    ("joe:sec#ret@example.org", "..."),
    ("http://example.org:80/@joe?a=b@c", "http://example.org:80/@joe"), ("/a:b?mail=c@d", "/a:b"),
    ("http://[::1]:80/\x1b[31m\n", "http://[::1]:80/?[31m "),
    ("http://example.org/" + "a" * 500, "http://example.org/" + "a" * 178 + "..."),
    ("", ""),
])
def test_shown_url_has_no_secrets_and_no_control_characters(url, shown):
    assert shown_url(url) == shown


@pytest.mark.parametrize("url, kept", [
    ("http://joe:x@example.org/a?b=c@d#e", "http://example.org/a?b=c@d#e"), ("http://joe:x@example.org?b@c", "http://example.org?b@c"),
    ("http://example.org/joe@x", "http://example.org/joe@x"),
])
def test_without_credentials_leaves_the_rest(url, kept):
    assert without_credentials(url) == kept


@pytest.mark.parametrize("text, shown", [
    ("a\nb\tc", "a b c"), ("\x1b]0;x\x07", "?]0;x?"), ("\u202egpj", "?gpj"), ("\xfc\u6f22", "\xfc\u6f22"),
])
def test_one_line_text_can_do_nothing_to_a_terminal(text, shown):
    assert one_line(text) == shown


@pytest.mark.parametrize("level, expected", [
    (QUIET, "qhttp: e\n"), (NORMAL, "qhttp: e\nqhttp: n\n"), (VERBOSE, "qhttp: e\nqhttp: n\nd\n"),
])
def test_messages_level_says_what_is_shown(level, expected):
    stream = io.StringIO()
    messages = Messages(level, stream)
    messages.error("e")
    messages.note("n")
    messages.detail("d")
    messages.end()
    assert stream.getvalue() == expected


def test_messages_beyond_the_bound_are_counted():
    stream = io.StringIO()
    messages = Messages(NORMAL, stream, max_error_lines=2)
    for n in range(10):
        assert messages.shows_errors == (n < 2)
        messages.failure(f"{n}")
    messages.end()
    first, second, hint, end = stream.getvalue().splitlines()
    assert (first, second) == ("qhttp: 0", "qhttp: 1")
    assert "2 errors" in hint and "--log-json" in hint
    assert end == "qhttp: 8 more errors were not shown"


def test_messages_that_are_said_once_are_shown_beyond_the_bound():
    stream = io.StringIO()
    messages = Messages(NORMAL, stream, max_error_lines=0)
    messages.failure("0")
    messages.error("the disk is full")
    messages.end()
    assert stream.getvalue().splitlines()[1:] == ["qhttp: the disk is full", "qhttp: 1 more errors were not shown"]


def test_messages_into_a_closed_stream_are_lost():
    stream = io.StringIO()
    stream.close()
    Messages(NORMAL, stream).error("e")


# -- statuses
@pytest.mark.parametrize("error, status", [
    (errors.HTTPStatusError("404", 404), 3), (errors.RedirectError("x"), 3), (errors.AuthenticationRequired("x"), 3),
    (errors.ProxyAuthenticationRequired("x"), 3),
    (errors.ConnectError("x"), 4), (errors.HostNotFound("x"), 4), (errors.NetworkError("x"), 4),
    (errors.UnexpectedClose("x"), 4),
    (errors.TimeoutError("x"), 5),
    (errors.BodyError("x"), 6), (errors.Truncated("x"), 6), (errors.ChecksumMismatch("x"), 6), (errors.DecodeError("x"), 6),
    (errors.TooLarge("x"), 6),
    (errors.ResumeError("x"), 8),
    (errors.FileError("x"), 9), (errors.DeviceError("x"), 9), (OSError("x"), 9),
    (errors.ProtocolError("x"), 1), (errors.RequestError("x"), 1), (errors.ManifestError("x"), 1), (errors.QHttpError("x"), 1),
    (None, 1),
])
def test_kind_of_an_error_is_its_exit_status(error, status):
    assert kind_of(error) == status


@pytest.mark.parametrize("kinds, status", [([], 0), ([3], 3), ([3, 3, 3], 3), ([3, 4], 1), ([9, 9], 9), ([1], 1)])
def test_failures_of_one_kind_have_its_status(kinds, status):
    failures = Failures()
    for kind in kinds:
        failures.add(kind)
    assert failures.status == status


def test_every_status_has_a_meaning():
    assert sorted(MEANINGS) == list(range(10))


@pytest.mark.parametrize("error, word", [
    (errors.HTTPStatusError("x", 401), "--user"), (errors.HTTPStatusError("x", 503), "later"),
    (errors.HTTPStatusError("x", 429), "--host-rate"),
    (errors.HostNotFound("x"), "spelling"), (errors.DecodeError("x"), "--no-decode"), (errors.TooLarge("x"), "--max-size"),
    (errors.ResumeError("x"), "--no-resume"), (errors.FileError("x"), "rights"), (errors.RedirectError("x"), "--max-redirects"),
])
def test_advice_says_what_to_do(error, word):
    assert word in advice_for(error)


def test_advice_is_not_made_up():
    assert advice_for(errors.QHttpError("x")) == advice_for(errors.HTTPStatusError("x", 418)) == advice_for(None) == ""

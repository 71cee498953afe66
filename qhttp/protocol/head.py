"""Whether a head is valid HTTP/1.1, as llhttp sees it. The only place that knows httptools.

A fresh parser without callbacks judges each head in about half a microsecond; one that was fed only a head cannot
go on with the next. What it lacks (limits, the protocol name, what may stand in a folded value) is checked here and
in the C floor.
"""

from errno import EMFILE

from qhttp.errors import NetworkError, lacking

_CONTROLS = bytes(set(range(32)) - {9, 10, 13}) + b"\x7f"
_parser = None          # httptools' class; imported when the first head comes
_upgrade = None         # its exception for an answer that leaves HTTP


class _NoCallbacks:
    """The parser wants a protocol object; one without methods makes it call nothing."""

    __slots__ = ()


_no_callbacks = _NoCallbacks()


def load():
    """Gets the parser, which the first head will need. Raises NetworkError where there is no descriptor to read it from."""
    global _parser, _upgrade
    if _parser is None:
        try:
            from httptools import HttpParserUpgrade, HttpResponseParser
        except (OSError, ImportError) as error:
            raise lacking(NetworkError(f"HTTP request failed: {error}"), getattr(error, "errno", EMFILE)) from None
        _upgrade = HttpParserUpgrade
        _parser = HttpResponseParser        # last: it tells other threads that both are there


def is_valid_head(block, has_fold):
    """True where `block` (bytes: status line, field lines, blank line) is a valid head (RFC 9112 sections 4 and 5).

    A folded value is let pass as RFC 9112 section 5.2 asks of a user agent; llhttp then checks values less, so they are
    checked here. No other leniency.
    """
    if _parser is None:
        load()
    for byte in block:          # llhttp lets controls stand in the reason phrase (RFC 9112 section 4: it may not)
        if byte == 10:
            break
        if (byte < 32 and byte != 9 and byte != 13) or byte == 127:
            return False
    parser = _parser(_no_callbacks)
    if has_fold:
        if len(block.translate(None, _CONTROLS)) != len(block):
            return False
        parser.set_dangerous_leniencies(lenient_headers=True)
    try:
        parser.feed_data(block)
    except _upgrade:
        return True
    except Exception:           # httptools has one class per complaint; each says no
        return False
    return True

"""The one place that decides how long a body is (RFC 9112 section 6.3) and whether the connection may be used again.

It is stricter than the RFC where the RFC leaves a choice: what two readers could understand differently is refused.
"""
from qhttp.errors import ProtocolError


def decide(is_head_request, facts):
    """The framing of the answer with these facts: one of QH_FRAMING_*. Raises ProtocolError where nobody should guess.

    A Content-Length that is no number, or several that differ, cannot be trusted at all; a transfer coding besides
    `chunked` was never asked for; Transfer-Encoding together with Content-Length, or in HTTP/1.0, is how answers are
    smuggled.
    """
    if facts.length_state == QH_LENGTH_BAD:
        raise ProtocolError("Invalid HTTP response header: Content-Length is not one number")
    if facts.status == 101:
        raise ProtocolError("Invalid HTTP response header: 101 without having asked for another protocol")
    if is_head_request or facts.status < 200 or facts.status == 204 or facts.status == 205 or facts.status == 304:
        return QH_FRAMING_NONE
    if facts.n_codings == 1 and facts.n_identity == 1 and facts.length_state != QH_LENGTH_ONE and facts.minor > 0:
        return QH_FRAMING_CLOSE         # a coding of RFC 2616 that changes nothing
    if facts.n_codings > 0:
        if facts.codings_malformed or facts.n_codings > 1 or not facts.chunked_is_last:
            raise ProtocolError("Invalid HTTP response header: Transfer-Encoding is not just chunked")
        if facts.length_state == QH_LENGTH_ONE:
            raise ProtocolError("Invalid HTTP response header: both Transfer-Encoding and Content-Length")
        if facts.minor == 0:
            raise ProtocolError("Invalid HTTP response header: Transfer-Encoding in HTTP/1.0")
        return QH_FRAMING_CHUNKED
    if facts.length_state == QH_LENGTH_ONE:
        return QH_FRAMING_LENGTH
    return QH_FRAMING_CLOSE


def keeps_alive(framing, facts):
    """Whether the connection stays open after this answer (RFC 9112 section 9.3)."""
    if framing == QH_FRAMING_CLOSE or facts.connection_close:
        return False
    if facts.status == 205 and (facts.n_codings > 0 or facts.length > 0):
        return False    # it announces a body that it must not have: whether one follows cannot be told
    return facts.minor > 0 or facts.connection_keep

"""What of its time a request spent where."""
from __future__ import annotations

from typing import NamedTuple


class Timings(NamedTuple):
    """Seconds (float) of the monotonic clock; None: that has not happened, or not yet.

    `dns`, `connect` and `tls` are how long each took: the look-up of a name; connecting, with all that a proxy needs for it;
    the handshake. They are the sums over all connections that were made for the request: another try, a redirect. A connection
    that was there already has none of them. `first_byte` and `total` count from the request's begin, to the first byte of the
    last answer and to the end; for a file, to when it had its name.
    """

    dns: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None
    total: float | None = None

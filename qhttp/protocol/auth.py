"""Authentication schemes (RFC 9110 section 11): an object answers the challenges of one scheme; `choose` picks the strongest.

Each has `name`, `realm`, `strength` (among those of its name), `is_per_connection`, and
    prepare(user, password)                 "" when it can carry these credentials, else why not
    value(user, password, method, target)   of Authorization, or Proxy-Authorization, for the next request
    is_of(challenge)                        whether a later challenge goes on with this one
    again(challenge)                        True: goes on silently with the same credentials; False: they were rejected
    informed(info)                          the server accepted; Authentication-Info, or ""
Nothing here shows a credential: not in a message, not in a repr, not in the context of an exception.
"""
from __future__ import annotations

from qhttp.protocol.challenges import Challenge, has_controls, octets, parse_challenges
from qhttp.protocol.digest import Digest

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal, TypeAlias

    _Scheme: TypeAlias = "Basic | Digest | Negotiated"

_BY_STRENGTH = ("negotiate", "digest", "ntlm", "basic")

__all__ = ["Basic", "Challenge", "Digest", "Negotiated", "choose", "parse_challenges"]


class Basic:
    """Basic (RFC 7617): the credentials themselves, in base64."""

    name = "Basic"
    is_per_connection: Literal[False] = False
    strength = 0

    def __init__(self, challenge: Challenge):
        self.realm: str = challenge.realm
        self._is_utf8 = challenge.is_utf8

    def prepare(self, user: str, password: str) -> str:
        """"" when these credentials can be sent, else what is wrong with them, without showing them."""
        if ":" in user:
            return "user name has a colon, which Basic authentication cannot carry"
        if has_controls(user) or has_controls(password):
            return "user name or password has a control character, which Basic authentication cannot carry"
        try:
            octets(user, password, self._is_utf8)
        except ValueError as error:
            return str(error)
        return ""

    def value(self, user: str, password: str, method: str, target: str) -> str:
        """The same for every request. Raises ValueError as `prepare` tells; nothing of the credentials is in it."""
        problem = self.prepare(user, password)
        if problem:
            raise ValueError(problem)
        from binascii import b2a_base64
        name, secret, _ = octets(user, password, self._is_utf8)
        return "Basic " + b2a_base64(b"%b:%b" % (name, secret), newline=False).decode("ascii")

    def is_of(self, challenge: Challenge) -> bool:
        return challenge.scheme == "basic"

    def again(self, challenge: Challenge) -> bool:
        """Never: what would be sent is what was rejected."""
        return False

    def informed(self, info: str) -> None:
        """Nothing to learn."""


class Negotiated:
    """NTLM and Negotiate (RFC 4559), which authenticate the connection in several legs, through pyspnego.

    Raises ImportError without pyspnego. `hostname`: of the party to authenticate to, for its service principal name.
    A leg is due from a challenge to the `value` that answers it; at all other times `value` is None, the connection being
    anonymous or authenticated.
    """

    is_per_connection: Literal[True] = True
    was_heard: bool
    strength = 0
    realm = ""      # these schemes have none

    def __init__(self, challenge: Challenge, hostname: str):
        import spnego  # noqa: F401  is it there?
        self.name = "NTLM" if challenge.scheme == "ntlm" else "Negotiate"
        self.was_heard = False      # whether the server went on with a leg: if not, it never saw the credentials
        self._hostname = hostname
        self._context: Any = None       # pyspnego's
        self._token = b""
        self._is_due = False

    def prepare(self, user: str, password: str) -> str:
        """Makes the first leg due; "" when pyspnego can do it with these credentials, else what is wrong."""
        self.restart()
        self._is_due = self._begin(user, password)
        return "" if self._is_due else f"{self.name} authentication cannot begin with these credentials"

    def _begin(self, user: str, password: str) -> bool:
        import spnego
        try:    # a Password, never a bare name: that would look into the caches of whoever runs this
            context = spnego.client(spnego.Password(user, password), hostname=self._hostname or "unspecified",
                                    service="http", protocol=self.name.lower())
            token = context.step()
        except Exception:       # pyspnego's own, GSSAPI's, KeyError, struct.error ...
            return False
        self._context, self._token = context, token or b""
        return bool(token)

    def value(self, user: str, password: str, method: str, target: str) -> str | None:
        """The leg that is due, None when none is."""
        if not self._is_due:
            return None
        self._is_due = False
        if self._context is None and not self._begin(user, password):
            return None
        from binascii import b2a_base64
        return f"{self.name} {b2a_base64(self._token, newline=False).decode('ascii')}"

    def is_of(self, challenge: Challenge) -> bool:
        return challenge.scheme == self.name.lower()

    def again(self, challenge: Challenge) -> bool:
        """Takes the server's token. True: the next leg is due, on this very connection; or the first one, where the connection
        is new or had been authenticated before."""
        if self._is_due:
            return True
        if self._context is None:
            self._is_due = True
            return True
        if not challenge.token:
            return False
        from binascii import a2b_base64
        try:
            token = self._context.step(a2b_base64(challenge.token, strict_mode=True))
        except Exception:       # what pyspnego raises for a bad token is of any class
            return False
        self.was_heard = True
        self._token, self._is_due = token or b"", bool(token)
        return self._is_due

    def informed(self, info: str) -> None:
        """The connection is authenticated; should the server ask again, all legs come anew."""
        self.restart()

    def restart(self) -> None:
        """The connection is another one: the leg that is due, if any, is the first."""
        self._context = None
        self._token = b""
        self.was_heard = False


def choose(challenges: list[Challenge], hostname: str, without: Iterable[str] = ()) -> _Scheme | None:
    """The strongest scheme that is offered and can be done, None if there is none; of equals the first offered.

    Negotiate, Digest with SHA-512-256, SHA-256, MD5, NTLM, Basic, in this order. `without`: names of schemes to pass over.
    """
    passed_over = {name.lower() for name in without}
    for name in _BY_STRENGTH:       # so that pyspnego, which is dear to import, is not when it is not the choice
        if name in passed_over:
            continue
        schemes = [scheme for challenge in challenges if challenge.scheme == name
                   and (scheme := _scheme_of(challenge, hostname)) is not None]
        if schemes:
            return max(schemes, key=lambda scheme: scheme.strength)
    return None


def _scheme_of(challenge: Challenge, hostname: str) -> _Scheme | None:
    try:
        if challenge.scheme == "basic":
            return Basic(challenge)
        if challenge.scheme == "digest":
            return Digest(challenge)
        return Negotiated(challenge, hostname)
    except (ValueError, ImportError):
        return None

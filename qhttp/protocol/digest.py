"""Digest access authentication (RFC 7616; RFC 2617 for servers without qop): one object answers one nonce after the other.

The nonce count says how often the nonce at hand was used; a challenge with stale=true, or nextnonce, replaces the nonce.
"""
from __future__ import annotations

from qhttp.protocol.challenges import Challenge, has_controls, octets, parse_parameters, quoted

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Literal

_ALGORITHMS = {"md5": ("md5", 1), "sha-256": ("sha256", 2), "sha-512-256": ("sha512_256", 3)}     # hashlib's name, strength
_SESS = "-sess"
_ATTR_CHARS = frozenset(b"!#$&+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")     # RFC 8187


class Digest:
    """Answers a Digest challenge. Raises ValueError for one that cannot be answered: see `choose`.

    `cnonce`: used instead of 32 random hex digits, for tests.
    """
    realm: str

    name = "Digest"
    is_per_connection: Literal[False] = False

    def __init__(self, challenge: Challenge, cnonce: str = ""):
        self._fixed_cnonce = cnonce
        self._take(challenge)

    def _take(self, challenge: Challenge) -> None:
        parameters = challenge.parameters
        if any(has_controls(value) or max(value, default="") > "\xff" for value in parameters.values()):
            raise ValueError("challenge has a control character in a value")
        if "realm" not in parameters or not parameters.get("nonce"):
            raise ValueError("challenge lacks the realm or the nonce")
        algorithm = parameters.get("algorithm", "")
        key = _algorithm_key(challenge)
        hash_name, strength = _ALGORITHMS.get(key.removesuffix(_SESS), ("", 0))
        if not hash_name or not _has_hash(hash_name):
            raise ValueError("challenge has an unknown algorithm")
        offered = [word.strip(" \t").lower() for word in parameters.get("qop", "").split(",")]
        if any(offered) and "auth" not in offered:
            raise ValueError("challenge has no qop that can be given: auth-int needs the body beforehand")
        self.realm = challenge.realm
        self.strength = strength
        self._is_utf8, self._is_sess = challenge.is_utf8, key.endswith(_SESS)
        self._algorithm, self._algorithm_key, self._hash_name = algorithm, key, hash_name
        self._has_qop = "auth" in offered
        self._opaque = parameters.get("opaque")
        self._is_userhash = parameters.get("userhash", "").lower() == "true"
        self._nonce, self._n_uses = parameters["nonce"], 0
        if self._fixed_cnonce:
            self._cnonce = self._fixed_cnonce
        else:
            from os import urandom
            self._cnonce = urandom(16).hex()
        self._session_nonce = self._nonce       # A1 of -sess is made once a challenge (RFC 7616 section 3.4.2)

    def _hash(self, *parts: bytes) -> bytes:
        import hashlib
        return hashlib.new(self._hash_name, b":".join(parts), usedforsecurity=False).hexdigest().encode("ascii")

    def prepare(self, user: str, password: str) -> str:
        """"" when these credentials can be sent, else what is wrong with them, without showing them."""
        if has_controls(user):
            return "user name has a control character"
        try:
            octets(user, password, self._is_utf8)
        except ValueError as error:
            return str(error)
        return ""

    def value(self, user: str, password: str, method: str, target: str) -> str:
        """The value of Authorization, or Proxy-Authorization, for one request; uses the nonce once more. RFC 7616 section 3.4.

        `target` is the request target as it is sent. Raises ValueError as `prepare` tells; nothing of the credentials is in it.
        """
        problem = self.prepare(user, password)
        if problem:
            raise ValueError(problem)
        name, secret, is_utf8 = octets(user, password, self._is_utf8)
        realm, nonce, cnonce = self.realm.encode("latin-1"), self._nonce.encode("latin-1"), self._cnonce.encode("ascii")
        self._n_uses += 1
        count = b"%08x" % self._n_uses
        a1 = self._hash(name, realm, secret)
        if self._is_sess:
            a1 = self._hash(a1, self._session_nonce.encode("latin-1"), cnonce)
        a2 = self._hash(method.encode("ascii"), target.encode("ascii"))
        middle = (count, cnonce, b"auth") if self._has_qop else ()
        response = self._hash(a1, nonce, *middle, a2).decode("ascii")

        if self._is_userhash:
            fields = [f'username="{self._hash(name, realm).decode("ascii")}"']
        elif is_utf8 and not name.isascii():
            fields = ["username*=UTF-8''" + "".join(chr(c) if c in _ATTR_CHARS else f"%{c:02X}" for c in name)]
        else:
            fields = [f"username={quoted(name.decode('utf-8' if is_utf8 else 'latin-1'))}"]      # as it was hashed
        fields += [f"realm={quoted(self.realm)}", f"nonce={quoted(self._nonce)}", f"uri={quoted(target)}"]
        if self._opaque is not None:
            fields.append(f"opaque={quoted(self._opaque)}")
        fields.append(f'response="{response}"')
        if self._algorithm:
            fields.append(f"algorithm={self._algorithm}")
        if self._has_qop:
            fields += ["qop=auth", f"nc={count.decode('ascii')}"]
        if self._has_qop or self._is_sess:
            fields.append(f'cnonce="{self._cnonce}"')
        if self._is_userhash:
            fields.append("userhash=true")
        return "Digest " + ", ".join(fields)

    def is_of(self, challenge: Challenge) -> bool:
        """Whether a later challenge goes on with this one: the same scheme and algorithm."""
        return challenge.scheme == "digest" and _algorithm_key(challenge) == self._algorithm_key

    def again(self, challenge: Challenge) -> bool:
        """A further challenge came. True: the nonce was stale, or what was sent was for another realm (another protection
        space, RFC 9110 section 11.5), and the same credentials may go on; False: they were rejected, or it is unusable."""
        parameters = challenge.parameters
        is_new = parameters.get("nonce") != self._nonce or self._n_uses == 0
        is_stale = parameters.get("stale", "").lower() == "true"
        if not (is_new and is_stale) and challenge.realm == self.realm:
            return False
        try:
            self._take(challenge)
        except ValueError:
            return False
        return True

    def informed(self, info: str) -> None:
        """An answer was given; takes the nextnonce of its Authentication-Info value (RFC 7616 section 3.5), if it has one."""
        nonce = parse_parameters(info).get("nextnonce", "") if info else ""
        if nonce and nonce != self._nonce and not has_controls(nonce) and max(nonce) <= "\xff":
            self._nonce, self._n_uses = nonce, 0


def _algorithm_key(challenge: Challenge) -> str:
    return (challenge.parameters.get("algorithm") or "MD5").lower()


def _has_hash(name: str) -> bool:
    """Whether this build of OpenSSL has the hash, and its policy allows it."""
    import hashlib
    try:
        hashlib.new(name, usedforsecurity=False)
    except ValueError:
        return False
    return True

"""Who is authenticated with what: one Party for an origin server or a proxy, from the first challenge to the last rejection.

Credentials are never sent before a challenge, never to another party, and never again once they were rejected. Whatever is
repeated silently is counted; the count ends in ASK, which ends in other credentials or in an error. No sockets here.
"""
from __future__ import annotations

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from qhttp.protocol.auth import _Scheme
    from qhttp.protocol.challenges import Challenge

AGAIN, ASK, UNKNOWN = "again", "ask", "unknown"     # the verdicts of Party.challenged

MAX_REPEATS = 6         # silent repeats in a row: a stale nonce, the legs of NTLM (3 with the first challenge, more in SPNEGO)
MAX_REJECTED = 32       # rejected credentials remembered of one party
MAX_PARTIES = 64        # origins and proxies of one client

NO_EDITION = 0          # the edition of a request that carried nothing

PER_CONNECTION = frozenset(("Negotiate", "NTLM"))       # names of the schemes that authenticate a connection


class Party:
    """What is known of one origin (scheme, host and port) or one proxy. `hostname`: for the names of Kerberos services.

    user, password: "" when unknown. scheme: None until a challenge came. realm: of the latest challenge. problem: after ASK,
    or False from answered(), why the credentials could not even be sent, "" otherwise; it shows none. edition: counts what
    changes the values to send; where one party is used on several connections, a request remembers it with its value
    (NO_EDITION without one), so that a challenge to what is out of date is no rejection of what is not.

    A scheme that authenticates connections (`scheme.is_per_connection`) needs a party for each connection. Where one party is
    for many, `never` has the names of such schemes (PER_CONNECTION): they are passed over whatever else is offered.
    """

    user: str
    password: str
    edition: int
    problem: str
    realm: str

    def __init__(self, hostname: str = "", never: frozenset[str] = frozenset()):
        self.user = self.password = self.realm = self.problem = ""
        self.scheme: _Scheme | None = None
        self.edition = self._first_edition = NO_EDITION + 1       # _first_edition: the first with these credentials
        self._sent_edition = NO_EDITION
        self._hostname, self._never = hostname, never
        self._challenges: list[Challenge] = []                # the latest, for credentials that come later
        self._without: set[str] = set()                     # names of offered schemes that these credentials do not work with
        self._rejected: dict[tuple[str, str], None] = {}    # (user, password) -> None, oldest first
        self._proven: tuple[str, str] | None = None         # the (user, password) accepted last
        self._n_repeats = 0
        self._is_asking = False                             # between ASK and answered()

    def __repr__(self) -> str:
        scheme = type(self.scheme).__name__ if self.scheme is not None else "not asked yet"
        return f"<qhttp party: {'a user' if self.user else 'nobody'}, {scheme}>"

    # -- what the user says
    def set_credentials(self, user: str, password: str) -> None:
        """Credentials given unasked. Other ones forget the scheme; rejected ones are tried once more, on purpose."""
        given = user or "", password or ""
        if not self._is_asking:     # as an answer they would be tried for ever
            self._forgive(given)
        if given != (self.user, self.password):
            self._take(given)
            self.scheme = None

    def answered(self, user: str, password: str) -> bool:
        """The user's answer, one after each ASK. True: not tried yet, repeat the request; False: none, or rejected before."""
        self._is_asking = False
        given = user or "", password or ""
        if not any(given) or given in self._rejected:
            self._forgive(self._proven)     # wrong for this request, and right for others
            return False
        self._take(given)
        return self._establish()

    def _forgive(self, given: tuple[str, str] | None) -> None:
        """Rejected credentials may be tried once more, after a challenge: the scheme at hand may be one they do not fit."""
        if given in self._rejected:
            del self._rejected[given]
            self.scheme = None

    def _take(self, given: tuple[str, str]) -> None:
        self.user, self.password = given
        self.problem = ""
        self._without.clear()
        self._n_repeats = 0
        self.edition += 1
        self._first_edition = self.edition

    # -- what is sent
    def value(self, method: str, target: str) -> str | None:
        """What to send unasked in Authorization, or Proxy-Authorization; None for nothing. `target` as it is sent."""
        if self.scheme is None or not self._are_good():
            return None
        value = self.scheme.value(self.user, self.password, method, target)
        if value is not None:
            self._sent_edition = self.edition
        return value

    def edition_sent(self) -> int:
        """The edition of a request that goes out now."""
        return self.edition if self.scheme is not None else NO_EDITION

    def _are_good(self) -> bool:
        """Whether there are credentials that were not rejected."""
        given = self.user, self.password
        return any(given) and given not in self._rejected

    def login(self) -> tuple[str, str] | None:
        """(user, password) where they are wanted without a challenge (SOCKS5); None: unknown, or rejected."""
        return (self.user, self.password) if self.user and self._are_good() else None

    def login_rejected(self) -> None:
        """They were sent as `login` gave them, and are wrong."""
        self._reject()

    # -- what the server says
    def challenged(self, values: list[str], edition: int | None = None) -> str:
        """A 401 or 407 came with these WWW-Authenticate or Proxy-Authenticate values: AGAIN (repeat the request, silently),
        ASK (for credentials: none are known, or those known were rejected) or UNKNOWN (no usable challenge).

        `edition`: what the request carried; without it the value given last. Never raises.
        """
        verdict = self._verdict(values, edition)
        self._is_asking = verdict == ASK
        return verdict

    def _verdict(self, values: list[str], edition: int | None) -> str:
        from qhttp.protocol.auth import parse_challenges
        self._challenges = parse_challenges(values)
        self.problem = ""
        scheme = self.scheme
        if scheme is not None and self._are_good():
            carried = self._sent_edition if edition is None else edition
            if not scheme.is_per_connection and carried != self.edition:
                return AGAIN if edition is not None else self._again()      # it was not these that were rejected
            challenge = next(filter(scheme.is_of, self._challenges), None)
            if challenge is not None and scheme.again(challenge):
                self.edition += 1
                self.realm = scheme.realm
                return self._again()
            if scheme.is_per_connection and not scheme.was_heard:
                self._without.add(scheme.name)      # nobody looked at the credentials: Kerberos without a ticket, say
            else:
                self._reject()
        if not self._establish():
            return ASK if self.scheme is not None else UNKNOWN
        return self._again() if self._are_good() else ASK

    def _establish(self) -> bool:
        """Takes the strongest scheme that was offered and works with the credentials, if any. False: none; the scheme, if there
        is one, then is for asking, and the credentials are rejected."""
        from qhttp.protocol.auth import choose
        self.edition += 1
        while (scheme := choose(self._challenges, self._hostname, self._without | self._never)) is not None:
            self.scheme, self.realm = scheme, scheme.realm
            problem = scheme.prepare(self.user, self.password) if self._are_good() else ""
            if not problem:
                return True
            self._without.add(scheme.name)
            self.problem = problem
        self.scheme = choose(self._challenges, self._hostname, self._never)
        self.realm = self.scheme.realm if self.scheme is not None else ""
        if self.scheme is not None:
            self._reject()
        return False

    def passed_over(self) -> str:
        """After UNKNOWN: the name of the strongest scheme that could be done but for `never`; "" where there is none."""
        from qhttp.protocol.auth import choose
        scheme = choose(self._challenges, self._hostname) if self._never else None
        return scheme.name if scheme is not None else ""

    def _again(self) -> str:
        self._n_repeats += 1
        if self._n_repeats <= MAX_REPEATS:
            return AGAIN
        self._reject()
        self._establish()
        return ASK

    def _reject(self) -> None:
        given = self.user, self.password
        self._without.clear()
        if any(given):
            self._rejected[given] = None
            while len(self._rejected) > MAX_REJECTED:
                del self._rejected[next(iter(self._rejected))]

    def accepted(self, info: str = "", edition: int | None = None) -> None:
        """Any other final answer came, or for a proxy any that is the origin's. `info`: its Authentication-Info, or
        Proxy-Authentication-Info; `edition` as in challenged."""
        carried = self._sent_edition if edition is None else edition
        if self.scheme is None or carried < self._first_edition or not self._are_good():
            return
        self._n_repeats = 0
        self._proven = self.user, self.password
        self._rejected.clear()
        if carried == self.edition:
            self.scheme.informed(info)

    def connection_changed(self) -> None:
        """The next request goes out on another connection: what authenticates connections begins with its first leg."""
        if self.scheme is not None and self.scheme.is_per_connection:
            self.scheme.restart()


class Parties:
    """The parties of one client, by their keys: (scheme, host, port) of an origin, or such and more of a proxy. The one that
    was not asked for the longest is forgotten beyond `max_parties`. A key never sees the credentials of another. `never`: of
    each Party."""

    def __init__(self, max_parties: int = MAX_PARTIES, never: frozenset[str] = frozenset()):
        self.max_parties = max_parties
        self._never = never
        self._parties: dict[tuple[Any, ...], Party] = {}        # in the order of use
        self._pending: tuple[str, str] | None = None

    def __iter__(self) -> Iterator[Party]:
        return iter(self._parties.values())

    def bind(self, user: str, password: str) -> None:
        """Keeps credentials for the party that is asked for next, and for no other."""
        self._pending = user or "", password or ""

    def for_origin(self, key: tuple[Any, ...]) -> Party:
        """The party of a key; pending credentials become its own."""
        party = self._parties.pop(key, None) or Party(key[1], self._never)
        self._parties[key] = party
        while len(self._parties) > self.max_parties:
            del self._parties[next(iter(self._parties))]
        if self._pending is not None:
            party.set_credentials(*self._pending)
            self._pending = None
        return party

"""Challenges as servers send them, credentials as clients do, and a client that tells what it was asked."""
import base64
import hashlib
import re

import qhttp
from support.faults import whole

USER, PASSWORD, WRONG_PASSWORD = "franz", "the secret", "not the secret"
REALM = "a realm"
BASIC = b'Basic realm="a realm"'
NONCE, NEXT_NONCE = b"n0", b"n1"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\n"
PROXY_UNAUTHORIZED = b"HTTP/1.1 407 Proxy Authentication Required\r\n"
PAGE = b"who are you?"


def digest(nonce=NONCE, *more):
    return b", ".join([b'Digest realm="a realm", nonce="%b", qop="auth"' % nonce, *more])


def refused(*challenges, body=PAGE, fields=()):
    """A 401 with its body."""
    lines = [b"WWW-Authenticate: " + challenge for challenge in challenges or (BASIC,)]
    return whole(body, *lines, *fields, status=UNAUTHORIZED)


def proxy_refused(*challenges, body=PAGE, fields=()):
    """A 407 with its body."""
    lines = [b"Proxy-Authenticate: " + challenge for challenge in challenges or (BASIC,)]
    return whole(body, *lines, *fields, status=PROXY_UNAUTHORIZED)


def values(request, name="Authorization"):
    """The values of a request's fields of one name."""
    head = request.partition(b"\r\n\r\n")[0].decode("latin-1")
    return re.findall(rf"(?im)^{name}:[ \t]*(.*?)\r?$", head)


def basic(user=USER, password=PASSWORD):
    """The value of an Authorization field."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode("latin-1")).decode()


def is_right_digest(request, user=USER, password=PASSWORD, name="Authorization"):
    """Whether a request has one Digest answer, with MD5 and qop=auth, and it is the right one (RFC 2617 section 3.2.2)."""
    found = values(request, name)
    if len(found) != 1 or not found[0].startswith("Digest "):
        return False
    given = {key: quoted or bare for key, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^",\s]+))', found[0])}
    method, target, _ = request.decode("latin-1").split(" ", 2)

    def h(text):
        return hashlib.md5(text.encode("latin-1")).hexdigest()

    parts = h(f"{user}:{REALM}:{password}"), given["nonce"], given["nc"], given["cnonce"], "auth", h(f"{method}:{target}")
    right = h(":".join(parts))
    return given["uri"] == target and given["response"] == right


class Client:
    """A QHttp with a record of its signals. `answers`, in a row: (user, password), None for no answer, or something to call
    with the authenticator; `asked` tells what came of authenticationRequired, `asked_by_proxy` of the other one."""

    def __init__(self, record, *arguments, answers=(), proxy_answers=()):
        self.http = qhttp.QHttp(*arguments)
        self.told = record(self.http)
        self.answers, self.proxy_answers = list(answers), list(proxy_answers)
        self.asked, self.asked_by_proxy = [], []
        self.http.authenticationRequired.connect(self._ask)
        self.http.proxyAuthenticationRequired.connect(self._ask_for_proxy)

    def _ask(self, host, port, authenticator):
        self.asked.append((host, port, authenticator.realm(), authenticator.user()))
        reply(self.answers, authenticator)

    def _ask_for_proxy(self, proxy, authenticator):
        self.asked_by_proxy.append((proxy.hostName(), proxy.port(), authenticator.realm(), authenticator.user()))
        reply(self.proxy_answers, authenticator)

    def get(self, path="/"):
        """(error, body) of a GET, once it is done."""
        self.http.get(path)
        return self.outcome()

    def outcome(self):
        assert self.http.waitForDone(4000), f"{self.http!r} does not come to an end"
        assert self.told.faults() == []
        return self.http.error().name, bytes(self.http.readAll())

    @property
    def statuses(self):
        return self.told.of("responseHeaderReceived")


def reply(answers, authenticator):
    answer = answers.pop(0) if answers else None
    if callable(answer):
        answer(authenticator)
    elif answer is not None:
        authenticator.setUser(answer[0])
        authenticator.setPassword(answer[1])

"""How a recorded call becomes a call of qhttp.

Most verbs are methods of QHttp and their arguments stand as recorded. Those that are not, or whose arguments have to be
made first, have a function here: function(player, http, *arguments, **keywords).
"""
import functools

import qhttp
from conformance.notation import ERRORS, STATES, named, response, told

PROXY_TYPES = ["DefaultProxy", "Socks5Proxy", "NoProxy", "HttpProxy", "HttpCachingProxy"]
PROCESS_EVENTS_MS = 5
QUEUEING = frozenset({"get", "head", "post", "request", "setHost", "setProxy"})     # those whose ids are remembered


def exported(name: str):
    """A class of qhttp, be it at its top or among the stand-ins for old code."""
    if hasattr(qhttp, name):
        return getattr(qhttp, name)
    return getattr(qhttp.compat, name)


def connection_mode(text: str):
    return qhttp.QHttp.ConnectionModeHttps if text == "https" else qhttp.QHttp.ConnectionModeHttp


def make_http(kind: str, *arguments):
    """Makes the object of a scenario: kind is "default", "host" or "mode"."""
    if kind == "mode":
        host, name, *port = arguments
        return qhttp.QHttp(host, connection_mode(name), *port)
    return qhttp.QHttp(*arguments)


def make_proxy(type, host="", port=0, user="", password=""):
    proxy = exported("QNetworkProxy")
    return proxy(getattr(proxy, PROXY_TYPES[type]), host, port, user, password)


def make_header(parse=None, values=(), **line):
    """A request header from text, or from method, path and version as far as they are recorded."""
    words = [line[key] for key in ("method", "path", "major", "minor") if key in line]
    header = exported("QHttpRequestHeader")(*([parse] if parse else words))
    for name, value in values:
        header.addValue(name, value)
    return header


def get(player, http, path, to=None):
    return http.get(path, *destination(player, to))


def post(player, http, path, text="", device=None, size=None, to=None):
    data = player.devices[device] if device else b"x" * size if size is not None else text.encode("latin-1")
    return http.post(path, data, *destination(player, to))


def request(player, http, header, device=None, data=None, to=None):
    if device:
        body = [player.devices[device]]
    elif data is not None:
        body = [data.encode("latin-1")]
    else:
        body = [None] if to else []
    return http.request(make_header(**header), *body, *destination(player, to))


def destination(player, name):
    return [player.devices[name]] if name else []


def set_host(player, http, host, mode=None, port=None):
    chosen = None if mode is None else connection_mode(mode)
    return http.setHost(host, *(value for value in (chosen, port) if value is not None))


def set_proxy(player, http, *arguments, **proxy):
    return http.setProxy(*([make_proxy(**proxy)] if proxy else arguments))


def set_credentials(player, http, user, password):
    player.authenticator.setUser(user)
    player.authenticator.setPassword(password)


def last_response(player, http):
    header = http.lastResponse()
    return response(header) if header.isValid() else None


def error(player, http):
    return [named(ERRORS, http.error()), http.errorString()]


def snapshot(player, http):
    return [named(STATES, http.state()), *error(player, http), http.currentId(), http.hasPendingRequests(),
            http.bytesAvailable()]


VERBS = {
    "get": get,
    "post": post,
    "request": request,
    "setHost": set_host,
    "setProxy": set_proxy,
    "setSocket": lambda player, http, name: http.setSocket(player.sockets[name] if name else None),
    "auth.set": set_credentials,
    "read": lambda player, http, n: told(player.keep(http.read(n))),
    "readAll": lambda player, http: told(player.keep(http.readAll())),
    "state": lambda player, http: named(STATES, http.state()),
    "error": error,
    "lastResponse": last_response,
    "snapshot": snapshot,
    "socketAlive": lambda player, http, name: player.sockets[name].fileno() >= 0,
    "devState": lambda player, http, name: "closed" if player.devices[name].closed else "open",
    "wait": lambda player, http, **how: player.wait(**how),
    "loop": lambda player, http, ms: player.spend(ms),
    "nestedLoop": lambda player, http, ms: player.spend(ms),
    "processEvents": lambda player, http: player.spend(PROCESS_EVENTS_MS),
    "later": lambda player, http, ms, calls: player.later(ms, calls),
    "delete": lambda player, http: player.delete(),
}


def bound(player, owner: str, verb: str):
    """The callable that makes a call on the object of that name."""
    http = player.objects[owner]
    return functools.partial(VERBS[verb], player, http) if verb in VERBS else getattr(http, verb)

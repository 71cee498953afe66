"""With what a server is asked: logins from a netrc file, the proxy for it, its cookies.

All of it is the user's, so no message shows more of it than where it stands. Libraries are imported by their first use.
"""
from __future__ import annotations

import os

from qhttp.errors import FileError
from qhttp.protocol.url import split_authority, unescaped

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from http.cookiejar import Cookie, CookieJar, CookiePolicy, MozillaCookieJar
    from ipaddress import IPv4Network, IPv6Network
    from typing import Any
    from urllib.request import Request

COOKIES_CAP = 3000              # cookies that servers may add to a store; these three: RFC 6265 section 6.1, with room
DOMAIN_COOKIES_CAP = 180        # of them for one domain
SET_COOKIE_LEN_CAP = 8192       # characters of one Set-Cookie; a longer one is ignored
COOKIE_LEN_CAP = 32 * 1024      # characters of a Cookie field; what is beyond is not sent
NETRCS_CAP = 16                 # netrc files that are remembered
AGE_LEN_CAP = 12                # characters of a cookie's Max-Age: seconds for thousands of years
ENVIRONMENT = "environment"
_KINDS = {"http": ("http", 80), "socks5": ("socks5", 1080), "socks5h": ("socks5", 1080)}     # scheme -> kind, default port
_WITH_VALUE = frozenset(("domain", "path", "expires", "max-age"))       # attributes of a cookie (RFC 6265 section 4.1.1)
_WITHOUT_VALUE = frozenset(("secure", "httponly"))


_netrcs: dict[tuple[str, bool], tuple[Any, dict[str, tuple[str, str]]]] = {}     # (path, is default) -> (stat, logins)


def netrc_login(path: str | os.PathLike[str] | None, host: str, has_default: bool = True) -> tuple[str, str] | None:
    """(user, password) for `host` in a netrc file, with `has_default` the `default` entry for others; None: there is neither.

    `path` None: ~/.netrc, which may be missing and must be the user's alone. A file is read again when it has changed. Raises
    ValueError that names the file, and the line where one is wrong: it cannot be read, others may read it, it is no netrc file.
    """
    shown = "~/.netrc" if path is None else os.fspath(path)
    key = os.path.expanduser(shown) if path is None else shown, path is None
    try:
        about = os.stat(key[0])
        stamp = about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
        known, logins = _netrcs.get(key, (None, {}))
        if known != stamp:
            logins = _read_netrc(shown, path is None)
            if len(_netrcs) >= NETRCS_CAP:
                _netrcs.clear()
            _netrcs[key] = stamp, logins
    except OSError as error:
        if path is None and isinstance(error, FileNotFoundError):
            return None
        raise ValueError(f"netrc file {shown} cannot be read: {error.strerror}") from None
    name = host.lower()
    login = logins.get(name) if has_default or name != "default" else None
    user, password = login or (logins.get("default") if has_default else None) or ("", "")
    return (user, password) if user or password else None


def _read_netrc(name: str, is_default: bool) -> dict[str, tuple[str, str]]:
    """{machine in lower case, or "default": (user, password)}."""
    from netrc import NetrcParseError, netrc
    try:
        entries = netrc(None if is_default else name)
    except NetrcParseError as error:        # its text has the word that it fell over, which may be a password
        problem = (f"is no netrc file: see line {error.lineno} and the one before" if error.lineno else
                   f"may be read or was written by others: chown it to yourself, chmod 600 {name}")
    except ValueError:
        problem = "is no netrc file: it is not text of this system's encoding"
    else:
        logins: dict[str, tuple[str, str]] = {}
        for machine, (user, _, password) in entries.hosts.items():
            logins.setdefault(machine.lower(), (user or "", password or ""))
        return logins
    raise ValueError(f"netrc file {name} {problem}")        # here, so that it does not carry the other exception with it


# -- proxies
class ProxyChoice:
    """Which proxy an origin is asked through. `setting`: "environment", None (no proxy), or the URL of one for all.

    A URL is http://, socks5:// or socks5h:// (the proxy looks names up with either), http:// where it has no scheme; user and
    password in it are percent-decoded. The environment is read once: http_proxy, https_proxy, else all_proxy, and no_proxy,
    lower case before upper. An empty one means no proxy. HTTP_PROXY is ignored in a CGI program (REQUEST_METHOD is set), where
    a client's Proxy field sets it.

    Raises TypeError; ValueError that names the variable.
    """

    def __init__(self, setting: str | None = ENVIRONMENT):
        self._proxies: dict[str, tuple[str, str, int, str, str]] = {}
        self._exceptions: _Exceptions | None = None
        if setting is None:
            return
        if not isinstance(setting, str):
            raise TypeError(f'proxy must be "{ENVIRONMENT}", a URL or None, not {type(setting).__name__}')
        if setting != ENVIRONMENT:
            proxy = _proxy("proxy", setting)
            self._proxies = {"http": proxy, "https": proxy}
            return
        for scheme in ("http", "https"):
            name, value = _variable(f"{scheme}_proxy", "all_proxy")
            if value:
                self._proxies[scheme] = _proxy(name, value)
        if self._proxies:
            self._exceptions = _Exceptions(_variable("no_proxy")[1])

    def __repr__(self) -> str:
        ways = [f"{scheme} through {kind} at {host}:{port}" for scheme, (kind, host, port, _, _) in self._proxies.items()]
        return f"<qhttp proxies: {', '.join(ways) or 'none'}>"

    @property
    def is_any(self) -> bool:
        """Whether any origin is asked through a proxy."""
        return bool(self._proxies)

    def for_origin(self, scheme: str, host: str, port: int) -> tuple[str, str, int, str, str] | None:
        """(kind, host, port, user, password) for this origin, kind being "http" or "socks5"; None: ask it directly."""
        proxy = self._proxies.get(scheme)
        if proxy is not None and self._exceptions is not None and self._exceptions.has(host, port):
            return None
        return proxy


def _variable(*names: str) -> tuple[str, str]:
    """(name, value) of the first of these variables that is set, in lower case or else in upper case; ("", "") without one."""
    for name in names:
        for spelling in (name, name.upper()):
            value = os.environ.get(spelling)
            if value is not None and not (spelling == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ):
                return spelling, value.strip()
    return "", ""


def _proxy(name: str, text: str) -> tuple[str, str, int, str, str]:
    """(kind, host, port, user, password) of a proxy's URL. `name`: what it was given as; messages show nothing else."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    if scheme.lower() not in _KINDS:
        raise ValueError(f"{name} must be the URL of a proxy that is known here: http://host:port or socks5://host:port")
    kind, default_port = _KINDS[scheme.lower()]
    authority = rest.removesuffix("/")
    if any(c <= " " or c in "/?#\x7f" for c in authority):
        raise ValueError(f"{name} must be scheme://user:password@host:port and no more: percent-encode what is special in it")
    login, _, place = authority.rpartition("@")
    user, _, password = login.partition(":")
    problem = ""
    try:
        host, port = split_authority(place, default_port, is_shown=False)
        user, password = [unescaped(word.encode("utf-8")).decode("utf-8") for word in (user, password)]
    except UnicodeError:
        problem = "has a user or password that is no UTF-8 when it is percent-decoded"
    except ValueError as error:
        problem = f"is no proxy: its {error}"
    if problem:
        raise ValueError(f"{name} {problem}")
    return kind, host, port, user, password


class _Exceptions:
    """A no_proxy: names with what is below them, with a leading dot or "*." or without; addresses and networks; each also with
    a port; "*" for all. What is none of these matches nothing."""

    def __init__(self, text: str) -> None:
        self._ports: dict[str, set[int | None]] = {}            # name -> ports; None among them: any
        self._addresses: list[tuple[str, int | None]] = []      # (text, port), until the first address is asked for
        self._networks: list[tuple[IPv4Network | IPv6Network, int | None]] | None = None       # then (network, port)
        for word in text.replace(",", " ").split():
            name, digits = word.lower(), ""
            if name.startswith("["):
                name, _, tail = name[1:].partition("]")
                digits = tail[1:]
            elif name.count(":") == 1:
                name, _, digits = name.partition(":")
            if digits and not (digits.isascii() and digits.isdigit()):
                continue
            port = int(digits) if digits else None
            name = name.removeprefix("*.").removeprefix(".").removesuffix(".")
            if ":" in name or "/" in name or name[-1:].isdigit():
                self._addresses.append((name, port))        # or a name that ends so; it is entered as both
            if name != "*":
                try:
                    name = split_authority(name, 0)[0]
                except ValueError:
                    continue
            self._ports.setdefault(name, set()).add(port)

    def has(self, host: str, port: int) -> bool:
        name = host.removesuffix(".")
        for place in ("*", name):
            while place:
                ports = self._ports.get(place, ())
                if port in ports or None in ports:
                    return True
                place = place.partition(".")[2]
        return bool(self._addresses) and (":" in name or name[-1:].isdigit()) and self._has_address(name, port)

    def _has_address(self, host: str, port: int) -> bool:
        from ipaddress import ip_address, ip_network
        if self._networks is None:
            self._networks = []
            for text, one_port in self._addresses:
                try:
                    self._networks.append((ip_network(text, strict=False), one_port))
                except ValueError:
                    continue
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network and one_port in (None, port) for network, one_port in self._networks)


# -- cookies
class CookieStore:
    """Cookies of all servers. `source`: True (none at first), the path of a Netscape cookie file, which is read now and may be
    empty, or an http.cookiejar.CookieJar, which is used as it is, with its own policy and without bounds.

    Which cookie goes where is the jar's policy: domain, path, secure. Ours sends a cookie without Domain to its host alone, and
    takes none for a domain such as co.uk, none from an address for another one, none with control characters; a full store
    takes no new ones. Raises TypeError; ValueError that names the file, where it cannot be read. `jar`: the CookieJar.
    """

    jar: CookieJar

    def __init__(self, source: bool | str | os.PathLike[str] | CookieJar = True):
        from http.cookiejar import CookieJar
        self._path = ""
        self._known: dict[str, set[tuple[str, str]]] = {}       # domain -> (path, name), of the bounded jars
        self._n_known = self._n_most = 0
        self._is_full = False
        if isinstance(source, CookieJar):
            self.jar = source
            return
        if source is True:
            self.jar = CookieJar(_policy(self._takes))
        elif isinstance(source, (str, os.PathLike)):
            self._path = os.fspath(source)
            self.jar = _read_jar(self._path, _policy(self._takes))
        else:
            raise TypeError(f"cookies must be True, a path or a CookieJar, not {type(source).__name__}")
        self._count()
        self._n_most = self._n_known + COOKIES_CAP

    def __repr__(self) -> str:
        return f"<qhttp cookies: {len(self.jar)}>"

    def header_for(self, url_text: str, fields: Iterable[tuple[str, str]] = ()) -> str | None:
        """The value of a Cookie field for a request to this URL; None without cookies for it, or where `fields` have one."""
        request = _Request(url_text, fields)
        self.jar.add_cookie_header(request)     # type: ignore[arg-type]
        value = request.cookie
        if value is not None and len(value) > COOKIE_LEN_CAP:
            value = value[:COOKIE_LEN_CAP + 1].rpartition("; ")[0] or None
        return value

    def store(self, url_text: str, fields: Iterable[tuple[str, str]]) -> None:
        """Takes the cookies that an answer from this URL sets and may set; `fields`: all (name, value) of its head."""
        values = [_plain_cookie(value) for name, value in fields
                  if name.lower() == "set-cookie" and len(value) <= SET_COOKIE_LEN_CAP]
        if not values:
            return
        if self._is_full:           # some of its cookies may have expired
            self.jar.clear_expired_cookies()
            self._count()
        self.jar.extract_cookies(_Response(values), _Request(url_text, ()))      # type: ignore[arg-type]

    def save(self) -> None:
        """Writes all cookies, those of the session too, to the file they were read from: at once, readable by its owner only.

        Raises ValueError where they are not from a file, FileError where it cannot be written.
        """
        if not self._path:
            raise ValueError("cookies can be saved where they come from a file: give its path, an empty file will do")
        from http.cookiejar import MozillaCookieJar
        from tempfile import mkstemp
        assert isinstance(self.jar, MozillaCookieJar)
        temporary = ""
        try:
            path = os.path.realpath(self._path)
            descriptor, temporary = mkstemp(prefix=".cookies-", dir=os.path.dirname(path))
            os.close(descriptor)
            self.jar.save(temporary, ignore_discard=True)
            os.replace(temporary, path)
        except OSError as error:
            raise FileError(f"cookies cannot be saved to {self._path}: {error.strerror}") from None
        finally:
            if temporary and os.path.exists(temporary):
                os.unlink(temporary)

    def _count(self) -> None:
        self._known.clear()
        for cookie in self.jar:
            self._known.setdefault(cookie.domain, set()).add((cookie.path, cookie.name))
        self._n_known = sum(map(len, self._known.values()))
        self._is_full = False

    def _takes(self, cookie: Cookie) -> bool:
        """Whether there is room for it, and whether a line of a cookie file can hold it."""
        key = cookie.path, cookie.name
        if any(c < " " or c == "\x7f" for text in (*key, cookie.value or "") for c in text):
            return False
        names = self._known.setdefault(cookie.domain, set())
        if key not in names:
            if len(names) >= DOMAIN_COOKIES_CAP or self._n_known >= self._n_most:
                self._is_full = True
                return False
            names.add(key)
            self._n_known += 1
        return True


def _policy(takes: Callable[[Cookie], bool]) -> CookiePolicy:
    """Python's policy, less what it lets pass too easily. `takes`: asked last, with a cookie that is about to be set."""
    from http.cookiejar import DefaultCookiePolicy, request_host  # type: ignore[attr-defined]

    class Policy(DefaultCookiePolicy):
        def set_ok(self, cookie: Cookie, request: Request) -> bool:
            return super().set_ok(cookie, request) and takes(cookie)

        def set_ok_domain(self, cookie: Cookie, request: Request) -> bool:
            host = request_host(request)
            if cookie.domain_specified and host[-1:] in "0123456789]" and cookie.domain.removeprefix(".") != host:
                return False        # an address has no domain but itself (RFC 6265 section 5.1.3)
            return super().set_ok_domain(cookie, request)

    return Policy(strict_domain=True, strict_ns_domain=DefaultCookiePolicy.DomainStrictNonDomain)


def _plain_cookie(value: str) -> str:
    """A Set-Cookie value less the attributes that RFC 6265 does not know, that lack their value, or that are out of all bounds:
    a jar stumbles over them, and loses the other cookies of the answer."""
    cookie, *attributes = value.split(";")
    kept = [cookie]
    for attribute in attributes:
        name, equals, text = attribute.partition("=")
        name = name.strip().lower()
        if name in (_WITH_VALUE if equals else _WITHOUT_VALUE) and not (name == "max-age" and len(text.strip()) > AGE_LEN_CAP):
            kept.append(attribute)
    return ";".join(kept)


def _read_jar(path: str, policy: CookiePolicy) -> MozillaCookieJar:
    """A MozillaCookieJar with what is in the file; empty where that is."""
    import warnings
    from http.cookiejar import LoadError, MozillaCookieJar
    jar = MozillaCookieJar(path, policy=policy)
    problem = ""
    try:
        with warnings.catch_warnings():     # it warns of what it then raises
            warnings.simplefilter("ignore")
            if os.stat(path).st_size:
                jar.load(ignore_discard=True, ignore_expires=True)
    except (LoadError, UnicodeError):       # its text has the line, with the cookie
        problem = "is no Netscape cookie file"
    except OSError as error:
        problem = f"cannot be read (an empty one will do to begin with): {error.strerror}"
    if problem:
        raise ValueError(f"cookies file {path} {problem}")
    for cookie in jar:
        if cookie.expires == 0:             # how other programs write a cookie of the session
            cookie.expires, cookie.discard = None, True
    jar.clear_expired_cookies()
    return jar


class _Request:
    """What a jar asks of a urllib.request.Request."""

    unverifiable = False

    def __init__(self, url_text: str, fields: Iterable[tuple[str, str]]) -> None:
        self._url = url_text
        self._names = {name.lower(): value for name, value in fields}
        self.type, _, rest = url_text.partition("://")
        self.host = rest.partition("/")[0]
        self.origin_req_host = self.host
        self.cookie: str | None = None

    def get_full_url(self) -> str:
        return self._url

    def has_header(self, name: str) -> bool:
        return name.lower() in self._names

    def get_header(self, name: str, default: str | None = None) -> str | None:
        return self._names.get(name.lower(), default)

    def add_unredirected_header(self, name: str, value: str) -> None:
        if name == "Cookie":
            self.cookie = value


class _Response:
    """What a jar asks of an answer: info() with get_all()."""

    def __init__(self, values: list[str]) -> None:
        self._values = values

    def info(self) -> _Response:
        return self

    def get_all(self, name: str, default: Any = None) -> Any:
        return self._values if name == "Set-Cookie" else default

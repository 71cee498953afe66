"""What a TLS connection is made from: one context per configuration and process, and the sessions to resume.

Trust is the context's: the system's certificates unless the user brings an ssl.SSLContext. A context for the connection whose
certificate the user is asked about is made apart, so that nothing of the user's own is ever less strict for a moment.
"""
from __future__ import annotations

import ssl
from _thread import RLock, get_ident
from os import environ
from sys import flags, version_info
from weakref import WeakValueDictionary

from qhttp._core import holding
from qhttp.errors import LACKING, NetworkError, lacking

MAX_SESSIONS = 256      # of one configuration; the oldest goes first
# To ask a connection for its session costs some KB for ever in these Pythons (CPython issue 116810).
ASKING_LEAKS = version_info < (3, 12, 8) or version_info[:3] == (3, 13, 0)


def default_context() -> ssl.SSLContext:
    """Verifies against the system's certificates, TLS 1.2 or newer (RFC 9325 section 3.1.1). Raises NetworkError where
    there is no descriptor to read them: ssl says nothing of that, and would trust no server as long as the context lives."""
    paths = ssl.get_default_verify_paths()
    is_known = paths.cafile is not None or paths.capath is not None
    context = ssl.create_default_context() if is_known else _context_of_truststore()
    if paths.cafile is not None and not context.cert_store_stats()["x509"]:
        try:
            open(paths.cafile, "rb").close()
        except OSError as error:
            if error.errno in LACKING:
                text = f"HTTP request failed: the certificates in {paths.cafile} cannot be read: {error.strerror}"
                raise lacking(NetworkError(text), error.errno) from None
    _harden(context)
    return context


def _context_of_truststore() -> ssl.SSLContext:
    """This Python's OpenSSL does not know where the system keeps its certificates; truststore does, where it is installed."""
    try:
        import truststore
    except ImportError:
        return ssl.create_default_context()
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.hostname_checks_common_name = False         # RFC 9525 section 2: a server's names are its subjectAltNames
    context.set_alpn_protocols(["http/1.1"])
    log_keys(context)


def log_keys(context: ssl.SSLContext) -> None:
    """Has it write what decrypts its connections to the file of SSLKEYLOGFILE, as ssl.create_default_context() does."""
    path = environ.get("SSLKEYLOGFILE")
    if path and not flags.ignore_environment and not context.keylog_filename:
        context.keylog_filename = path


class TlsConfiguration:
    """A context with what belongs to it. Connections of different configurations are never used for one another."""

    __slots__ = ("__weakref__", "_strictness", "_unverified", "context", "max_sessions", "sessions")

    context: ssl.SSLContext
    max_sessions: int

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context, self.max_sessions = context, MAX_SESSIONS
        # (host, port) -> the session, or the connection that has it and its thread; all threads', under _lock
        self.sessions: dict[tuple[str, int], ssl.SSLSession | tuple[ssl.SSLObject, int]] = {}
        self._unverified: ssl.SSLContext | None = None
        self._strictness = _strictness_of(context)

    def __repr__(self) -> str:
        return f"<qhttp TLS configuration,{'' if self.is_verifying else ' not'} verifying, {len(self.sessions)} sessions>"

    @property
    def is_current(self) -> bool:
        """Whether the context still asks what it asked when this was made; it is the user's, who may change it."""
        return self._strictness == _strictness_of(self.context)

    @property
    def is_verifying(self) -> bool:
        """Whether a server has to prove who it is."""
        return self.context.verify_mode != ssl.CERT_NONE        # for a client CERT_OPTIONAL is CERT_REQUIRED

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, host: str, port: int, verified: bool) -> ssl.SSLObject:
        """An ssl.SSLObject for a connection to that server (RFC 6066 section 3: the name without its final dot, no address)."""
        name = host.removesuffix(".").partition("%")[0]
        if verified:
            session = self._session_for(host, port) if self.is_current else None
            return self.context.wrap_bio(incoming, outgoing, server_hostname=name, session=session)
        return self._context_without_verification().wrap_bio(incoming, outgoing, server_hostname=name)

    def keep_session(self, host: str, port: int, connection: ssl.SSLObject) -> None:
        """Remembers the session of an ssl.SSLObject whose server was verified, for the next one to it (RFC 8446 section 2.2).

        Where to ask for it leaks, it is asked for when it is needed: the connection itself waits in its place. And one that was
        accepted serves again.
        """
        if not self.is_current:
            return
        session = connection.session if not ASKING_LEAKS else None
        holding(_lock, lambda: self._keep((host, port), connection, session))

    def _keep(self, server: tuple[str, int], connection: ssl.SSLObject, session: ssl.SSLSession | None) -> None:
        """Under the lock."""
        if ASKING_LEAKS:
            known = self.sessions.pop(server, None)
            if known is None or not connection.session_reused:
                known = connection, get_ident()
            self.sessions[server] = known
        elif session is not None:
            self.sessions.pop(server, None)
            self.sessions[server] = session
        while len(self.sessions) > self.max_sessions:
            del self.sessions[next(iter(self.sessions))]

    def _session_for(self, host: str, port: int) -> ssl.SSLSession | None:
        """The session to resume. For one that is still its connection's only the thread of that connection may ask: OpenSSL
        does not guard a connection against two threads."""
        known = self.sessions.get((host, port))
        if not isinstance(known, tuple):
            return known
        connection, thread = known
        if thread != get_ident():
            return None
        session = connection.session
        if session is not None:
            self.sessions[host, port] = session
        return session

    def _context_without_verification(self) -> ssl.SSLContext:
        """For the connection that the user is asked about: without a certificate of the client's own, without its sessions."""
        if self._unverified is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            _harden(context)
            context.minimum_version = max(context.minimum_version, self.context.minimum_version)
            self._unverified = context
        return self._unverified


def _strictness_of(context: ssl.SSLContext) -> tuple[object, ...]:
    """What a server has to prove."""
    return context.verify_mode, context.check_hostname, context.hostname_checks_common_name, context.verify_flags


_lock = RLock()             # a signal's handler may ask for one while this thread has it
# id(context) -> TlsConfiguration, which holds that context: one, however many objects use it, for as long as any does.
_configurations: WeakValueDictionary[int, TlsConfiguration] = WeakValueDictionary()
_default: list[TlsConfiguration] = []       # where two are made at once, the first that was done is the one


def default_configuration() -> TlsConfiguration:
    """The process's own; made when first asked for."""
    if not _default:
        _default.append(TlsConfiguration(default_context()))
    return _default[0]


def configuration_of(context: object) -> TlsConfiguration:
    """The one for an ssl.SSLContext of the user's. Raises TypeError, and ValueError for a server's context."""
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"context must be an ssl.SSLContext, not {type(context).__name__}")
    if context.protocol == ssl.PROTOCOL_TLS_SERVER:
        raise ValueError("context is for servers: make it with ssl.create_default_context()")
    return holding(_lock, lambda: _configuration_of(context))


def _configuration_of(context: ssl.SSLContext) -> TlsConfiguration:
    """The same, under the lock."""
    configuration = _configurations.get(id(context))
    if configuration is None or not configuration.is_current:       # what was proved to a laxer one is not proved
        configuration = _configurations[id(context)] = TlsConfiguration(context)
    return configuration

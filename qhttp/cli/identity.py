"""Who we say we are, and whom we trust: the password that is asked for, and the TLS context of the options."""
from __future__ import annotations

from qhttp.cli.arguments import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    import ssl

TERMINAL = "/dev/tty"


def user_of(given: str) -> tuple[str, str]:
    """(user, password) of --user; a password that is left out is asked for at the terminal. Raises UsageError."""
    user, colon, password = given.partition(":")
    if colon:
        return user, password
    import getpass
    try:
        with open(TERMINAL, "rb"):            # getpass would otherwise read it from stdin, and show it
            pass
        return user, getpass.getpass(f"Password for {user}: ")
    except (OSError, EOFError):
        raise UsageError("--user has no password, and there is no terminal to ask for it: use --netrc-file FILE") from None


def tls_options(arguments: argparse.Namespace) -> argparse.Namespace:
    """What tls_context_of() needs of the arguments, and no more."""
    from argparse import Namespace
    return Namespace(**{name: getattr(arguments, name) for name in ("cacert", "cert", "key", "insecure")})


def tls_context_of(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    """The context that --cacert, --cert, --key and --insecure ask for; None: the usual one will do. Raises UsageError."""
    if not (arguments.cacert or arguments.cert or arguments.insecure):
        return None
    import ssl

    from qhttp.engine.tls_context import default_context
    context = default_context()
    if arguments.cacert:
        context = _trusting(arguments.cacert, context)
    if arguments.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if arguments.cert:
        try:
            context.load_cert_chain(arguments.cert, arguments.key)      # OpenSSL asks for a passphrase itself
        except (OSError, ValueError) as error:
            key = "" if arguments.key else "; its key is expected there, too, unless --key names another file"
            raise UsageError(f"--cert: {arguments.cert} cannot be used: {error}{key}") from None
    return context


def _trusting(cacert: str, pattern: ssl.SSLContext) -> ssl.SSLContext:
    """A context as strict as the pattern that trusts these certificates only."""
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cacert)
    except (OSError, ValueError) as error:
        raise UsageError(f"--cacert: {cacert} has no certificates in PEM: {error}") from None
    for name in ("minimum_version", "options", "verify_flags", "hostname_checks_common_name", "keylog_filename"):
        setattr(context, name, getattr(pattern, name))
    context.set_alpn_protocols(["http/1.1"])
    return context

"""What the networking part of an old PySide or PyQt program imports: `from qhttp.compat import *`.

The names come from files of their own and are imported when they are asked for.
"""
from __future__ import annotations

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any

    from qhttp.authenticator import QAuthenticator as QAuthenticator
    from qhttp.byte_array import QByteArray as QByteArray
    from qhttp.compat.io_devices import QBuffer as QBuffer
    from qhttp.compat.io_devices import QFile as QFile
    from qhttp.compat.io_devices import QIODevice as QIODevice
    from qhttp.compat.qt_loop import QCoreApplication as QCoreApplication
    from qhttp.compat.qt_loop import QEventLoop as QEventLoop
    from qhttp.compat.qt_loop import QTimer as QTimer
    from qhttp.compat.url import QFileInfo as QFileInfo
    from qhttp.compat.url import QUrl as QUrl
    from qhttp.headers import QHttpHeader as QHttpHeader
    from qhttp.headers import QHttpRequestHeader as QHttpRequestHeader
    from qhttp.headers import QHttpResponseHeader as QHttpResponseHeader
    from qhttp.http import QHttp as QHttp
    from qhttp.network_proxy import QNetworkProxy as QNetworkProxy
    from qhttp.objects import SIGNAL as SIGNAL
    from qhttp.objects import SLOT as SLOT
    from qhttp.objects import QObject as QObject
    from qhttp.ssl_error import QSslCertificate as QSslCertificate
    from qhttp.ssl_error import QSslError as QSslError

_HOMES = {
    "QHttp": "http", "QHttpHeader": "headers", "QHttpRequestHeader": "headers", "QHttpResponseHeader": "headers",
    "QObject": "objects", "SIGNAL": "objects", "SLOT": "objects", "QByteArray": "byte_array",
    "QUrl": "compat.url", "QFileInfo": "compat.url",
    "QIODevice": "compat.io_devices", "QBuffer": "compat.io_devices", "QFile": "compat.io_devices",
    "QAuthenticator": "authenticator",
    "QNetworkProxy": "network_proxy", "QSslError": "ssl_error", "QSslCertificate": "ssl_error",
    "QCoreApplication": "compat.qt_loop", "QEventLoop": "compat.qt_loop", "QTimer": "compat.qt_loop",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'qhttp.compat' has no attribute {name!r}")
    value = globals()[name] = getattr(__import__(f"qhttp.{home}", fromlist=(name,)), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

"""What the networking part of an old PySide or PyQt program imports: `from qhttp.compat import *`.

The names come from files of their own and are imported when they are asked for.
"""

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


def __getattr__(name):
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'qhttp.compat' has no attribute {name!r}")
    value = globals()[name] = getattr(__import__(f"qhttp.{home}", fromlist=(name,)), name)
    return value


def __dir__():
    return sorted([*globals(), *__all__])

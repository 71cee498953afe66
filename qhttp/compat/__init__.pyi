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

__all__ = [
    "SIGNAL",
    "SLOT",
    "QAuthenticator",
    "QBuffer",
    "QByteArray",
    "QCoreApplication",
    "QEventLoop",
    "QFile",
    "QFileInfo",
    "QHttp",
    "QHttpHeader",
    "QHttpRequestHeader",
    "QHttpResponseHeader",
    "QIODevice",
    "QNetworkProxy",
    "QObject",
    "QSslCertificate",
    "QSslError",
    "QTimer",
    "QUrl",
]

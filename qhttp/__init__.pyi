from qhttp._core import Limits as Limits
from qhttp._core import loop as loop
from qhttp.authenticator import QAuthenticator as QAuthenticator
from qhttp.bulk.client import Client as Client
from qhttp.bulk.downloader import Downloader as Downloader
from qhttp.bulk.downloader import iter_download as iter_download
from qhttp.bulk.shard import download_shard as download_shard
from qhttp.byte_array import QByteArray as QByteArray
from qhttp.errors import AddressError as AddressError
from qhttp.errors import BodyError as BodyError
from qhttp.errors import Cancelled as Cancelled
from qhttp.errors import CertificateError as CertificateError
from qhttp.errors import ChecksumMismatch as ChecksumMismatch
from qhttp.errors import ConnectError as ConnectError
from qhttp.errors import DecodeError as DecodeError
from qhttp.errors import DeviceError as DeviceError
from qhttp.errors import FileError as FileError
from qhttp.errors import HostNotFound as HostNotFound
from qhttp.errors import HTTPStatusError as HTTPStatusError
from qhttp.errors import ManifestError as ManifestError
from qhttp.errors import NetworkError as NetworkError
from qhttp.errors import ProtocolError as ProtocolError
from qhttp.errors import QHttpError as QHttpError
from qhttp.errors import RedirectError as RedirectError
from qhttp.errors import RequestError as RequestError
from qhttp.errors import ResumeError as ResumeError
from qhttp.errors import TimeoutError as TimeoutError
from qhttp.errors import TooLarge as TooLarge
from qhttp.errors import Truncated as Truncated
from qhttp.errors import UnexpectedClose as UnexpectedClose
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
from qhttp.timings import Timings as Timings

__version__: str
__all__ = [
    "SIGNAL",
    "SLOT",
    "AddressError",
    "BodyError",
    "Cancelled",
    "CertificateError",
    "ChecksumMismatch",
    "Client",
    "ConnectError",
    "DecodeError",
    "DeviceError",
    "Downloader",
    "FileError",
    "HTTPStatusError",
    "HostNotFound",
    "Limits",
    "ManifestError",
    "NetworkError",
    "ProtocolError",
    "QAuthenticator",
    "QByteArray",
    "QHttp",
    "QHttpError",
    "QHttpHeader",
    "QHttpRequestHeader",
    "QHttpResponseHeader",
    "QNetworkProxy",
    "QObject",
    "QSslCertificate",
    "QSslError",
    "RedirectError",
    "RequestError",
    "ResumeError",
    "TimeoutError",
    "Timings",
    "TooLarge",
    "Truncated",
    "UnexpectedClose",
    "download_shard",
    "iter_download",
    "loop",
    "run",
]

def run(msecs: int | None = None) -> bool: ...

"""qhttp: a compiled HTTP/1.1 client with the queued-request interface of Qt's QHttp, without Qt.

    http = qhttp.QHttp("example.org")
    http.done.connect(lambda error: print(http.errorString() if error else http.readAll()))
    http.get("/")
    qhttp.run()

Names are imported when they are first used, so that `import qhttp` costs next to nothing.
"""

__version__ = "0.1.0"

_HOMES = {
    "QHttp": "http", "QHttpHeader": "headers", "QHttpRequestHeader": "headers", "QHttpResponseHeader": "headers",
    "QByteArray": "byte_array", "QObject": "objects", "SIGNAL": "objects", "SLOT": "objects",
    "QAuthenticator": "authenticator", "QNetworkProxy": "network_proxy", "QSslError": "ssl_error",
    "QSslCertificate": "ssl_error", "Downloader": "bulk.downloader", "iter_download": "bulk.downloader",
    "download_shard": "bulk.shard", "Client": "bulk.client", "Timings": "timings", "Limits": "_core", "loop": "_core",
    "QHttpError": "errors",
    "ConnectError": "errors", "HostNotFound": "errors", "NetworkError": "errors", "CertificateError": "errors",
    "AddressError": "errors", "TimeoutError": "errors", "ProtocolError": "errors", "UnexpectedClose": "errors",
    "BodyError": "errors", "Truncated": "errors", "ChecksumMismatch": "errors", "DecodeError": "errors", "TooLarge": "errors",
    "ResumeError": "errors", "DeviceError": "errors", "FileError": "errors", "HTTPStatusError": "errors",
    "RedirectError": "errors", "ManifestError": "errors", "RequestError": "errors", "Cancelled": "errors",
}
__all__ = [*_HOMES, "run"]


def __getattr__(name):
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'qhttp' has no attribute {name!r}")
    value = globals()[name] = getattr(__import__(f"qhttp.{home}", fromlist=(name,)), name)
    return value


def __dir__():
    return sorted([*globals(), *__all__])


def run(msecs=None):
    """Turns this thread's loop until nothing is pending, or for at most `msecs` milliseconds (int). True: nothing is pending.

    Raises the first exception that came out of a slot; call it again to go on.
    """
    from qhttp._core import loop
    return loop().run(msecs)

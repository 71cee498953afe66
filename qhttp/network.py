"""The values of the Qt face: its enumerations, with the numbers of C++."""
from enum import IntEnum


class State(IntEnum):
    """What the client is doing (Qt: QHttp::State)."""

    Unconnected = 0     # there is no connection
    HostLookup = 1      # the name is being looked up
    Connecting = 2
    Sending = 3         # the request is being sent
    Reading = 4         # the answer has begun
    Connected = 5       # the connection is open and nothing is under way
    Closing = 6


class Error(IntEnum):
    """The last error (Qt: QHttp::Error)."""

    NoError = 0
    UnknownError = 1
    HostNotFound = 2
    ConnectionRefused = 3
    UnexpectedClose = 4
    InvalidResponseHeader = 5
    WrongContentLength = 6
    Aborted = 7
    AuthenticationRequiredError = 8
    ProxyAuthenticationRequiredError = 9


class ConnectionMode(IntEnum):
    """Plain or encrypted (Qt: QHttp::ConnectionMode)."""

    ConnectionModeHttp = 0
    ConnectionModeHttps = 1

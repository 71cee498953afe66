"""How values are written in a trace: states and errors by name, headers as lists, long data as length and digest."""
import hashlib

STATES = ["Unconnected", "HostLookup", "Connecting", "Sending", "Reading", "Connected", "Closing"]
ERRORS = ["NoError", "UnknownError", "HostNotFound", "ConnectionRefused", "UnexpectedClose", "InvalidResponseHeader",
          "WrongContentLength", "Aborted", "AuthenticationRequiredError", "ProxyAuthenticationRequiredError"]
LONGEST_TEXT = 4000         # bytes that are written out


def named(names: list, value) -> str:
    """The name that belongs to an enum's number; both names where the value calls itself otherwise."""
    name = names[int(value)]
    return name if getattr(value, "name", name) == name else f"{value.name}, which should be {name}"


def told(data: bytes) -> str:
    if len(data) <= LONGEST_TEXT:
        return data.decode("latin-1")
    return f"<{len(data)} bytes sha1 {hashlib.sha1(data).hexdigest()}>"


def response(header) -> list:
    """A response header as responseHeaderReceived has it in a trace."""
    fields = [list(pair) for pair in header.values()]
    return [header.statusCode(), header.majorVersion(), header.minorVersion(), header.reasonPhrase(), fields]


# For each signal, its arguments as they stand in a trace.
SIGNALS = {
    "stateChanged": lambda state: [named(STATES, state)],
    "responseHeaderReceived": response,
    "readyRead": lambda header: [header.statusCode()],
    "dataSendProgress": lambda n_done, n_total: [n_done, n_total],
    "dataReadProgress": lambda n_done, n_total: [n_done, n_total],
    "requestStarted": lambda number: [number],
    "requestFinished": lambda number, failed: [number, bool(failed)],
    "done": lambda failed: [bool(failed)],
    "authenticationRequired": lambda host, port, asked: [host, port, asked.realm(), asked.user()],
    "proxyAuthenticationRequired": lambda proxy, asked: [proxy.hostName(), proxy.port(), asked.realm(), asked.user(),
                                                         int(proxy.type())],
    "sslErrors": lambda errors: [len(errors) > 0],
}


def event(name: str, arguments: tuple, owner: str = "http") -> list:
    """An emission as one entry of a trace; signals of objects other than `http` carry the object's name."""
    return [name if owner == "http" else f"{owner}:{name}", *SIGNALS[name](*arguments)]

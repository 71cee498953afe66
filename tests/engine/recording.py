"""A QHttp with what its signals said, scripts and peers for the tests of floor 3."""
import random
import socket

import qhttp

PATIENCE_MS = 15_000            # a test that works takes far less


class Recorded:
    """A QHttp for one server, and what it told."""

    def __init__(self, host, port):
        self.http = qhttp.QHttp(host, port)
        self.states, self.statuses, self.started, self.finished, self.done = [], [], [], [], []
        self.read_progress, self.send_progress = [], []
        self.http.stateChanged.connect(lambda state, states=self.states: states.append(state.name))
        self.http.responseHeaderReceived.connect(lambda head, statuses=self.statuses: statuses.append(head.statusCode()))
        self.http.requestStarted.connect(self.started.append)
        self.http.requestFinished.connect(lambda id, error, finished=self.finished: finished.append((id, error)))
        self.http.done.connect(self.done.append)
        self.http.dataReadProgress.connect(lambda *both, told=self.read_progress: told.append(both))
        self.http.dataSendProgress.connect(lambda *both, told=self.send_progress: told.append(both))

    def wait(self, msecs=PATIENCE_MS):
        """Turns the loop until nothing is left to do; returns the name of the error."""
        assert self.http.waitForDone(msecs), f"{self.http!r} is not done, states {self.states}"
        return self.http.error().name

    def get(self, path="/", to=None):
        """The name of the error and the body of one GET."""
        self.http.get(path, to)
        return self.wait(), bytes(self.http.readAll())


def request(method, path="/", **fields):
    """A QHttpRequestHeader."""
    header = qhttp.QHttpRequestHeader(method, path)
    header.setValue("Host", "h")
    for name, value in fields.items():
        header.setValue(name, value)
    return header


def noise(n, seed=1):
    """n bytes that are different at every place."""
    return random.Random(seed).randbytes(n)


class Blackhole:
    """A port of loopback that neither accepts nor refuses: a listener whose backlog is full."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.host, self.port = self.address = self.listener.getsockname()
        self.fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.address)
            self.fillers.append(filler)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in (*self.fillers, self.listener):
            sock.close()

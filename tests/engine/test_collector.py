"""What the collector calls, wherever an object is made: finalizers, and gc.callbacks."""
import gc
import socket
import sys
from threading import Thread, get_ident

import pytest
from support.light_collector import light_collector

import qhttp

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
N_OBJECTS = range(-4, 12)    # made before the collector runs


light_collector = pytest.fixture(light_collector)


@pytest.fixture
def address():
    """Of a server whose thread makes no objects, for which the collector would run, between a request and its answer."""
    over = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            while not over:
                connection, _ = listener.accept()
                try:
                    if connection.recv(4096):
                        connection.sendall(OK)
                except OSError:
                    pass

        thread = Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        over.append(True)
        socket.create_connection(listener.getsockname()).close()
        thread.join()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the collector runs between bytecodes alone")
@pytest.mark.parametrize("moment", ["Connecting", "Sending"])
@pytest.mark.parametrize("nth", [1, 2])
def test_collector_that_aborts_before_the_answer_is_looked_at_is_sound(moment, nth, light_collector, address):
    here = get_ident()
    for n_objects in N_OBJECTS:
        http = qhttp.QHttp(*address)
        seen, held = [], []

        def call(phase, info, http=http, seen=seen):
            if phase == "start" and get_ident() == here:
                seen.append(phase)
                if len(seen) == nth:
                    http.abort()

        def begin(state, held=held, n_objects=n_objects, call=call):
            if state.name == moment:
                held += [[] for _ in range(50)]
                gc.callbacks.append(call)
                gc.set_threshold(max(1, gc.get_count()[0] + n_objects), 1, 1)

        http.stateChanged.connect(begin)
        http.get("/")
        try:
            http.waitForDone(2000)
        finally:
            gc.set_threshold(0)
            while call in gc.callbacks:
                gc.callbacks.remove(call)
        assert http.error().name in ("NoError", "Aborted") and not http.hasPendingRequests()

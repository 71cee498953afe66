"""A loop in each of many threads, at the shortest switch interval; what is shared between them, and what must not be."""
import gc
import os
import threading

from support import faults
from threads import stress

import qhttp


def in_a_thread(work):
    """Runs it in a thread of its own, to its end."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_threads_with_their_loops_get_every_body_right_and_leave_nothing():
    played = stress.run(n_threads=8, n_rounds=8, seed=3)
    assert played.verdict == []
    assert played.n_outside > 0 and played.n_bytes > 0


def test_connection_dropped_elsewhere_is_closed_where_its_loop_is_garbage(scripted_server):
    class Client(qhttp.QHttp):
        pass

    server, box = scripted_server(faults.answer()), []

    def work():
        http = Client(server.host, server.port)
        http.get("/")
        assert qhttp.run(5000)
        circle = [qhttp.loop()]
        circle.append(circle)
        box.append(http)

    gc.collect()
    gc.disable()
    try:
        n_before = len(os.listdir("/proc/self/fd"))
        in_a_thread(work)
        box.clear()
    finally:
        gc.enable()
    gc.collect()
    server.close()                      # its listener, and its own end of the connection
    assert len(os.listdir("/proc/self/fd")) < n_before

"""Many objects at once on one loop, and one loop in each of many threads: no answer ever reaches another request."""
import concurrent.futures
import gc
import io
import os
import random
import threading

import pytest

import qhttp
from qhttp import QHttp

N_OBJECTS = 200
N_THREADS = 8
STYLES = ["whole", "head", "body", "thirds", "chunked", "chunks", "close"]


def test_many_objects_one_server_answers_never_mixed_up(make, path_server):
    objects = [make(path_server) for _ in range(N_OBJECTS)]
    got = []
    for n, http in enumerate(objects):
        paths = [path_server.path(STYLES[(n + k) % len(STYLES)], 30 + 37 * n, f"{n}-{k}") for k in range(3)]
        http.requestFinished.connect(lambda number, error, http=http, left=iter(paths): got.append(
            (next(left), error, http.readAll())))
        for path in paths:
            http.get(path)
    assert qhttp.run(7000)
    assert len(got) == 3 * N_OBJECTS and not any(error for _, error, _ in got)
    assert [path for path, _, body in got if body != path_server.body(path)] == []


def test_many_objects_with_destinations_and_aborts_each_keeps_its_own(make, path_server):
    chance = random.Random(7)
    objects, tos, paths = [], [], []
    for n in range(N_OBJECTS // 2):
        http, to = make(path_server), io.BytesIO()
        path = path_server.path(chance.choice(STYLES), chance.randrange(3, 20_000), n)
        http.get(path, to)
        if n % 5 == 0:
            http.dataReadProgress.connect(http.abort)
        elif n % 5 == 1:
            http.responseHeaderReceived.connect(http.deleteLater)
        elif n % 5 == 2:
            http.dataReadProgress.connect(lambda: qhttp.run(0))
        objects.append(http)
        tos.append(to)
        paths.append(path)
    assert qhttp.run(7000)
    for n, (http, to, path) in enumerate(zip(objects, tos, paths, strict=True)):
        body = path_server.body(path)
        assert body.startswith(to.getvalue()) if n % 5 < 2 else to.getvalue() == body
        assert http.currentId() == 0


def test_many_objects_made_and_dropped_in_slots(path_server):
    n_left, bodies = [N_OBJECTS], []

    def next_one(error=False):
        if n_left[0] > 0:
            n_left[0] -= 1
            http = QHttp(path_server.host, path_server.port)
            path = path_server.path("whole", 60, n_left[0])
            http.readyRead.connect(lambda *_, http=http: bodies.append((path, http.readAll())))
            http.done.connect(lambda *_, http=http: (next_one(), http.deleteLater()))
            http.get(path)

    for _ in range(10):
        next_one()
    assert qhttp.run(7000)
    assert len(bodies) == N_OBJECTS and all(body == path_server.body(path) for path, body in bodies)


def fetch_many(server, name, n):
    """One thread's work: a QHttp of its own, on a loop of its own."""
    http = QHttp(server.host, server.port)
    for k in range(n):
        path = server.path(STYLES[k % len(STYLES)], 100 + k, f"{name}-{k}")
        http.get(path)
        assert http.waitForDone(5000) and http.error() == QHttp.NoError, http.errorString()
        assert http.readAll() == server.body(path)
    return id(qhttp.loop()), http.currentId()


def test_threads_each_with_its_loop_answers_never_mixed_up(path_server):
    with concurrent.futures.ThreadPoolExecutor(N_THREADS) as pool:
        barrier = threading.Barrier(N_THREADS)
        results = list(pool.map(lambda name: (barrier.wait(5), fetch_many(path_server, name, 30))[1], range(N_THREADS)))
    assert len({loop for loop, _ in results}) == N_THREADS


def test_threads_ids_unique_over_all_of_them():
    def take(_):
        http = QHttp("h")
        ids = [http.setHost("h") for _ in range(2000)]
        http.abort()
        return ids

    with concurrent.futures.ThreadPoolExecutor(N_THREADS) as pool:
        ids = [number for row in pool.map(take, range(N_THREADS)) for number in row]
    assert len(set(ids)) == len(ids) == N_THREADS * 2000


@pytest.mark.parametrize("call", [
    lambda http: http.get("/"), lambda http: http.setHost("h"), lambda http: http.close(), lambda http: http.post("/", b""),
    lambda http: http.abort(), lambda http: http.clearPendingRequests(), lambda http: http.read(1), lambda http: http.readAll(),
    lambda http: http.waitForDone(1), lambda http: http.deleteLater(), lambda http: http.setReadBufferSize(1)])
def test_call_from_another_thread_refused_and_harmless(make, path_server, finish, call):
    http = make(path_server)
    path = path_server.path("whole")
    http.get(path)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        error = pool.submit(call, http).exception()
        there = pool.submit(threading.get_ident).result()
    assert type(error) is RuntimeError
    assert str(threading.get_ident()) in str(error) and str(there) in str(error)
    finish(http)
    assert http.readAll() == path_server.body(path)


def test_object_dropped_in_another_thread_harmless(path_server):
    http = QHttp(path_server.host, path_server.port)
    http.get(path_server.path("whole"))
    assert http.waitForDone(2000)
    box = [http]
    del http
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    assert box == [] and qhttp.run(10)


def test_object_with_requests_dropped_in_another_thread_still_done(path_server):
    finished = []
    http = QHttp(path_server.host, path_server.port)
    http.done.connect(finished.append)
    http.get(path_server.path("thirds"))
    box = [http]
    del http
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    assert qhttp.run(2000) and finished == [False]


def test_descriptors_of_many_objects_all_given_back(path_server):
    def n_open():
        gc.collect()
        path_server.wait_for(lambda: all(connection.how_ended for connection in path_server.connections))
        return len(os.listdir("/proc/self/fd"))

    qhttp.loop()
    before = n_open()
    for style in ("whole", "cut", "close", "bad"):
        objects = [QHttp(path_server.host, path_server.port) for _ in range(40)]
        for n, http in enumerate(objects):
            http.get(path_server.path(style, 90, n))
            if n % 4 == 0:
                http.dataReadProgress.connect(http.abort)
        assert qhttp.run(5000)
        del objects, http
    assert n_open() <= before

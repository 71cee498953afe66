"""What `scarce.apart` calls in an interpreter of its own; without pytest, whose import costs more than the work."""
import ctypes
import gc

from exhaustion.scarce import few_descriptors, give_back, n_open, use_up
from support.watchdog import limited

import qhttp

LIMIT_S = 20


class Quick(qhttp.Downloader):
    """Does not wait between tries."""

    def random(self):
        return 0.0


def fetch(rows, prepare=lambda downloader: None, **settings):
    """{URL: (kind of its error, text) or None}, and the texts of what was tried again. `prepare`: called once it has begun."""
    ended, again = {}, []
    with limited(LIMIT_S), Quick(rows, proxy=None, **settings) as downloader:
        downloader.finished.connect(lambda transfer: ended.update({transfer.url: None}))
        downloader.failed.connect(
            lambda transfer: ended.update({transfer.url: (type(transfer.error).__name__, str(transfer.error))}))
        downloader.retrying.connect(lambda transfer, delay_s, error: again.append(str(error)))
        downloader.start()
        downloader.run(0)
        prepare(downloader)
        downloader.run()
    return ended, again


def fetch_with(rows, settings):
    return fetch(rows, **settings)


def fetch_without_descriptors(rows, settings):
    """All that are free when it has begun are used up; how often the loop waited, too."""
    few_descriptors(30)
    n = ctypes.c_long.in_dll(ctypes.CDLL(None), "qh_n_waits")
    held = []
    ended, _ = fetch(rows, lambda _: held.extend(use_up()), **settings)
    give_back(held)
    return ended, n.value


def fetch_by_name(rows, settings):
    """A look-up is slow after 20 ms."""
    short_patience()
    return fetch(rows, **settings)


def short_patience():
    from qhttp.engine.resolver import resolver
    resolver.slow_s = 0.02


def ask_many(port, n_objects, n_free):
    """As many objects with so few descriptors: (texts of their errors, open before and after, and the next answer)."""
    few_descriptors(n_free)
    qhttp.loop()
    before, texts = n_open(), []
    objects = [qhttp.QHttp("127.0.0.1", port) for _ in range(n_objects)]
    for http in objects:
        http.done.connect(lambda had_error, http=http: texts.append(http.errorString() if had_error else ""))
        http.get("/1")
    with limited(LIMIT_S):
        qhttp.run()
    del http
    objects.clear()
    gc.collect()                    # each is known to its own slot
    after = n_open()
    last = qhttp.QHttp("127.0.0.1", port)
    last.get("/1")
    with limited(LIMIT_S):
        qhttp.run()
    return texts, before, after, bytes(last.readAll())


def ask_by_name(port, n_stuck):
    """Whether there was an error: of the one with a good name, which ends the others, and then of those."""
    short_patience()
    ended, stuck = [], []
    for n in range(n_stuck):
        http = qhttp.QHttp(f"stuck{n}", port)
        http.done.connect(ended.append)
        http.get("/a")
        stuck.append(http)
    good = qhttp.QHttp("good", port)
    good.done.connect(ended.append)
    good.done.connect(lambda _: [http.abort() for http in stuck])
    good.get("/a")
    with limited(LIMIT_S):
        qhttp.run()
    return ended

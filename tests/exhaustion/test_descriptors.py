"""Few descriptors, or none: every file is whole, it only takes longer; or the error says so. Afterwards all is as before."""
import contextlib
import os
import resource
import socket
import threading

import pytest
from bulk.downloads import LARGE, LIMIT_S, SMALL, body, files_in, names_in, running
from bulk.origin import Origin, answer
from bulk.range_servers import Ranged
from core.process_tools import in_child, in_thread
from exhaustion.scarce import apart, command, few_descriptors, give_back, n_open, use_up

import qhttp

N_FILES = 40
SIZES = {f"/{n}": LARGE if n % 3 == 0 else SMALL for n in range(N_FILES)}
BODIES = {path: body(size, int(path[1:])) for path, size in SIZES.items()}
MANY = {"jobs": 512, "per_host": 512}
OWN = 3         # a loop's: its poll set, timer, and what wakes it


@pytest.fixture(scope="module")
def origin():
    with Origin({path: answer(200, data, ("ETag", f'"{path[1:]}"')) for path, data in BODIES.items()}) as origin:
        yield origin


def warm_up(origin):
    """All that is imported by its first use is there."""
    with running([origin.url("/0"), origin.url("/1")], into="bytes") as (downloader, _):
        downloader.run()
    http = qhttp.QHttp("127.0.0.1", origin.port)
    http.get("/1")
    qhttp.run()


def is_whole(folder) -> bool:
    return {f"/{name}": data for name, data in files_in(folder).items() if "session" not in name} == BODIES


def fetched(origin, folder, n_free, *, taken=None, rows=None, **settings):
    """In a child with so many descriptors: (kinds of errors, texts of what was tried again, most open, open before and after).
    `taken`: of them all but so many are used up when the run has begun."""
    def work():
        few_descriptors(n_free + OWN)
        qhttp.loop()
        before, most, held = n_open(), [0], []
        with running(rows or [origin.url(path) for path in BODIES], dir=folder, **{**MANY, **settings}) as (downloader, seen):
            downloader.finished.connect(lambda _: most.append(n_open()))
            if taken is not None:
                downloader.start()
                downloader.run(0)
                held = use_up()
                give_back(held, taken)
            downloader.run()
            give_back(held)
        return seen.kinds, [str(error) for error in seen.errors], max(most), before, n_open()
    return in_child(work)


@pytest.mark.parametrize("n_free", [12, 25, 57])
@pytest.mark.parametrize("settings", [{}, {"session": True}, {"pipelining": 4}, {"hashes": ("md5",)}], ids="+".join)
def test_downloader_with_few_descriptors_gets_all_files_and_never_runs_out(settings, n_free, origin, tmp_path):
    if "session" in settings:
        settings = {"session": str(tmp_path / "session")}
    kinds, again, most, before, after = fetched(origin, tmp_path, n_free + 6 * ("session" in settings), **settings)
    assert set(kinds.values()) == {None} and is_whole(tmp_path)
    assert again == [] and after == before
    assert most - before <= n_free + 6 * ("session" in settings) - 3        # some are left to others


@pytest.mark.parametrize("settings, n_left", [
    *(({}, n) for n in (0, 1, 2, 4)), *(({"pipelining": 4}, n) for n in (0, 1, 2, 4)),
    *(({"session": True}, n) for n in (6, 8)),      # its database opens a journal now and then
])
def test_downloader_that_others_leave_few_descriptors_gets_all_files(settings, n_left, origin, tmp_path):
    """With none left, those that its own connections had are all it has."""
    if "session" in settings:
        settings = {"session": str(tmp_path / "session")}
    n_before = len(origin.log)
    kinds, again, _, before, after = fetched(origin, tmp_path, 40, taken=n_left, **settings)
    assert set(kinds.values()) == {None} and is_whole(tmp_path) and after == before
    assert all("open files" in text for text in again) and len(origin.log) - n_before < 3 * N_FILES
    assert set(names_in(tmp_path)) == {path[1:] for path in BODIES}


def test_downloader_in_pieces_with_few_descriptors_gets_all_files(tmp_path):
    data = {f"/{n}": body(300_000, n) for n in range(6)}
    with Origin({path: Ranged(content) for path, content in data.items()}) as origin:
        rows = [origin.url(path) for path in data]
        for n_left in (None, 2):
            folder = tmp_path / str(n_left)
            kinds, *_, before, after = fetched(origin, folder, 20, taken=n_left, rows=rows, split=8, min_split_size=50_000)
            assert set(kinds.values()) == {None} and after == before
            assert files_in(folder) == {path[1:]: content for path, content in data.items()}


def test_downloader_idle_connections_to_others_make_room(tmp_path):
    """Each row is another server's: what was left behind at one is of no use for the next."""
    with contextlib.ExitStack() as servers:
        origins = [servers.enter_context(Origin({"/a": answer(200, body(SMALL))})) for _ in range(15)]
        rows = [{"url": origins[n % 15].url("/a"), "out": str(n)} for n in range(30)]
        for n_left in (None, 1):
            folder = tmp_path / str(n_left)
            kinds, *_, before, after = fetched(origin, folder, 20, taken=n_left, rows=rows)
            assert set(kinds.values()) == {None} and after == before
            assert files_in(folder) == {str(n): body(SMALL) for n in range(30)}


def test_downloader_without_any_descriptor_fails_as_it_should_and_can_be_used_again(origin, tmp_path):
    def work():
        warm_up(origin)
        few_descriptors(2)
        with running([origin.url("/1"), origin.url("/2")], dir=tmp_path, retries=2) as (downloader, seen):
            held = use_up()
            downloader.run()
            kinds, texts, n_again = seen.kinds, {str(transfer.error) for transfer in seen.failed}, len(seen.errors)
            give_back(held)
            downloader.add(origin.url("/4"))
            downloader.run()
        return kinds, texts, n_again, seen.kinds["4"]

    kinds, [text], n_again, last = in_child(work)
    assert kinds == {"1": "NetworkError", "2": "NetworkError"} and "Too many open files" in text
    assert n_again in range(4, 8) and last is None and files_in(tmp_path) == {"4": BODIES["/4"]}


def test_downloader_goes_on_with_more_lanes_when_there_are_descriptors_again(tmp_path):
    """When a third is done there are as many as one likes. The last ones are answered when eight of them have asked."""
    asked, are_many = [], threading.Event()

    def together(_peer):
        asked.append(None)
        if len(asked) == 8:
            are_many.set()
        are_many.wait(LIMIT_S / 2)

    soon = [lambda _peer: are_many.wait(0.002), answer(200, b"x")]
    with Origin({f"/{n}": soon if n < 150 else [together, answer(200, b"x")] for n in range(200)}) as origin:
        def work():
            few_descriptors(60)
            n_done = [0]
            with running([origin.url(f"/{n}") for n in range(200)], dir=tmp_path, **MANY) as (downloader, seen):
                downloader.start()
                held = use_up()

                def count(_):
                    n_done[0] += 1
                    if n_done[0] == 60:
                        give_back(held)

                downloader.finished.connect(count)
                give_back(held, 4)
                downloader.run()
            return seen.kinds, downloader.n_retries

        kinds, n_retries = in_child(work)
    assert set(kinds.values()) == {None} and n_retries > 0 and are_many.is_set()


@pytest.mark.parametrize("number", [23, 24])
def test_downloader_where_each_other_socket_is_refused_gets_all_files(number, origin, tmp_path, preload):
    """ENFILE: the machine itself has no more. It is met like EMFILE."""
    ended, again = apart("exhaustion.work:fetch_with", [origin.url(path) for path in BODIES], {"dir": str(tmp_path), **MANY},
                         preload=preload, QH_SOCKET=f"{number}/2")
    assert set(ended.values()) == {None} and is_whole(tmp_path) and again and all("open files" in text for text in again)


def test_downloader_that_waits_for_descriptors_sleeps(tmp_path, preload):
    """All that it has are busy with a server that is in no hurry: the loop is asked a few times for each file, and no more."""
    gate = threading.Event()
    with Origin({f"/{n}": [lambda _peer: gate.wait(0.05), answer(200, b"x")] for n in range(24)}) as origin:
        ended, n_waits = apart("exhaustion.work:fetch_without_descriptors", [origin.url(path) for path in origin.answers],
                               {"dir": str(tmp_path), **MANY}, preload=preload)
    assert set(ended.values()) == {None} and n_waits < 20 * 24


def test_command_with_few_descriptors_gets_all_files(origin, tmp_path):
    (tmp_path / "list").write_text("".join(origin.url(path) + "\n" for path in BODIES))
    ran = command("-i", tmp_path / "list", "-d", tmp_path / "files", "-j", 512, "--per-host", 512, "--hash", "sha256",
                  limits=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32)))
    assert ran.status == 0 and is_whole(tmp_path / "files"), ran.err


# -- QHttp
def test_qhttp_many_objects_with_few_descriptors_each_answer_or_the_error(origin):
    """In an interpreter of its own: what the first answer needs is imported before the descriptors are gone."""
    texts, before, after, last = apart("exhaustion.work:ask_many", origin.port, 200, 32)
    assert set(texts) == {"", "HTTP request failed: Too many open files"} and 10 < texts.count("") < 40
    assert last == BODIES["/1"] and before == after


def test_loop_without_descriptors_is_an_error_and_leaves_none_open():
    def work():
        few_descriptors(OWN + 1)
        held = use_up()
        found = []
        for n_free in range(OWN):
            give_back(held, n_free)
            before = n_open()
            try:
                in_thread(qhttp.loop)
            except OSError as error:
                found.append((error.strerror, n_open() - before))
            held += use_up()
        give_back(held)
        return found, in_thread(lambda: qhttp.loop().run(0))

    found, works = in_child(work)
    assert found == [("Too many open files", 0)] * OWN and works


# -- look-ups, and certificates
def test_look_up_without_descriptors_is_no_unknown_host(origin):
    def work():
        warm_up(origin)
        few_descriptors(3)
        errors, texts = [], []
        for is_short in (True, False):
            held = use_up() if is_short else []
            http = qhttp.QHttp("localhost", origin.port)
            http.get("/1")
            qhttp.run()
            give_back(held)
            errors.append(int(http.error()))
            texts.append(http.errorString())
        return errors, texts[0]

    errors, text = in_child(work)
    assert errors == [int(qhttp.QHttp.Error.ConnectionRefused), int(qhttp.QHttp.Error.NoError)]
    assert text == "Host localhost could not be looked up: Too many open files"


def test_cause_of_a_failed_look_up_is_that_of_the_library_where_there_are_descriptors():
    from qhttp.engine.resolver import cause_of
    unknown = socket.gaierror(socket.EAI_NONAME, "unknown")
    assert cause_of(unknown) is unknown
    assert cause_of(socket.gaierror(socket.EAI_MEMORY, "no memory")).errno == 12


def test_certificates_that_could_not_be_read_are_read_the_next_time():
    import ssl
    if ssl.get_default_verify_paths().cafile is None:
        pytest.skip("this Python's certificates are in no single file")

    def work():
        from qhttp.engine import tls_context
        tls_context._default.clear()        # other tests may have made it
        ssl.create_default_context()
        few_descriptors(2)
        held, found = use_up(), []
        try:
            tls_context.default_configuration()
        except qhttp.NetworkError as error:
            found += [str(error), error.lacks]
        give_back(held)
        return found, tls_context.default_configuration().context.cert_store_stats()["x509"] > 0

    [text, what], has_some = in_child(work)
    assert "Too many open files" in text and what == "descriptors" and has_some


def test_row_for_which_there_are_no_certificates_fails_alone(origin, tmp_path):
    def work():
        qhttp.loop()
        few_descriptors(8)
        held = []
        rows = [lambda: held.extend(use_up()) or f"https://127.0.0.1:{origin.port}/1",
                lambda: give_back(held) or origin.url("/1")]
        with running((row() for row in rows), dir=tmp_path, retries=0) as (downloader, seen):
            downloader.run()
        return [(type(transfer.error).__name__, str(transfer.error)) for transfer in seen.ended]

    [(kind, text), last] = in_child(work)
    assert kind != "NoneType" and "Too many open files" in text and last == ("NoneType", "None")


def test_open_descriptors_are_counted_right():
    before = n_open()
    fd = os.open(os.devnull, os.O_RDONLY)
    assert n_open() == before + 1
    os.close(fd)

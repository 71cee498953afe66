"""Reading an answer: read, readAll, bytesAvailable, what stays unread and for how long, and the read buffer's limit."""
import io

import pytest
from support.actions import Close, ReceiveRequest, Repeat, Send
from support.faults import chunk, head, whole

import qhttp
from qhttp import QHttp
from qhttp.byte_array import QByteArray

BIG = 3_000_000
RECEIVE_MAX = 64 << 10       # of the receive that brings the head
STYLES = ["whole", "thirds", "chunked", "chunks", "close"]


@pytest.fixture
def fetched(make, path_server, finish):
    """An object whose answer has come and is unread, and the body: fetched(style, size)."""
    def fetch(style="whole", size=90):
        http = make(path_server)
        path = path_server.path(style, size)
        http.get(path)
        finish(http)
        return http, path_server.body(path)
    return fetch


# -- read and readAll
@pytest.mark.parametrize("size", [1, 90, 16 << 10, (16 << 10) + 1, BIG])
@pytest.mark.parametrize("style", STYLES)
def test_readall_after_done_gives_the_body_once(fetched, style, size):
    http, body = fetched(style, size)
    assert http.bytesAvailable() == size
    data = http.readAll()
    assert type(data) is QByteArray and data == body
    assert (http.readAll(), http.read(1), http.bytesAvailable()) == (b"", b"", 0)


@pytest.mark.parametrize("step", [1, 7, 4096, 70_000, 10**9, 2**80])
def test_read_in_steps_gives_the_body(fetched, step):
    size = 500 if step < 100 else BIG
    http, body = fetched("thirds", size)
    pieces = []
    while piece := http.read(step):
        assert len(piece) == min(step, size)
        pieces.append(piece)
        size -= len(piece)
        assert http.bytesAvailable() == size
    assert b"".join(pieces) == body


def test_read_zero_gives_nothing_and_takes_nothing(fetched):
    http, body = fetched()
    assert http.read(0) == b"" and http.read(maxlen=5) == body[:5] and http.readAll() == body[5:]


def test_pieces_kept_while_more_is_read_do_not_change(fetched):
    http, body = fetched("whole", BIG)
    pieces = [http.read(100_000) for _ in range(10)] + [http.readAll()]
    http.get("/whole/3000000/other")
    assert http.waitForDone(3000)
    assert b"".join(pieces) == body and http.readAll() != body


@pytest.mark.parametrize("maxlen", ["5", 5.0, None, b"5", [], 1j])
def test_read_length_of_wrong_type_refused_by_name(fetched, maxlen):
    http, body = fetched()
    with pytest.raises(TypeError, match="maxlen"):
        http.read(maxlen)
    assert http.readAll() == body


@pytest.mark.parametrize("maxlen", [-1, -2**70])
def test_read_negative_length_refused_by_name(fetched, maxlen):
    http, body = fetched()
    with pytest.raises(ValueError, match="maxlen"):
        http.read(maxlen)
    assert http.readAll() == body


@pytest.mark.parametrize("call", [lambda http: http.read(), lambda http: http.read(1, 2), lambda http: http.readAll(1)])
def test_read_wrong_number_of_arguments_refused(fetched, call):
    http, body = fetched()
    with pytest.raises(TypeError):
        call(http)
    assert http.readAll() == body


def test_read_before_any_request_gives_nothing(make):
    http = make()
    assert (http.read(5), http.readAll(), http.bytesAvailable()) == (b"", b"", 0)


# -- reading in slots
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("read", [lambda http: http.readAll(), lambda http: http.read(7), lambda http: http.read(10**6)])
def test_read_in_readyread_pieces_add_up(make, path_server, finish, style, read):
    http = make(path_server)
    pieces = []
    http.readyRead.connect(lambda: pieces.append(read(http)))
    path = path_server.path(style, 1000)
    http.get(path)
    finish(http)
    assert b"".join([*pieces, http.readAll()]) == path_server.body(path)


def test_read_in_dataReadProgress_counts_are_of_the_wire(make, path_server, finish):
    http = make(path_server)
    counts = []
    n_read = [0]

    def read(done, total):
        counts.append(done)
        assert n_read[0] + http.bytesAvailable() == done
        n_read[0] += len(http.read(3))

    http.dataReadProgress.connect(read)
    http.get(path_server.path("thirds", 3000))
    finish(http)
    assert counts[-1] == 3000 and http.bytesAvailable() == 3000 - n_read[0]


def test_read_large_body_piecewise_in_readyread_nothing_lost_and_little_kept(make, scripted_server, finish):
    http = make(scripted_server([ReceiveRequest(), Send(head(b"Content-Length: %d" % (64 << 20))),
                                 Repeat(b"0123456789abcdef", 4 << 20)]))
    n_read, wrong = [0], []

    def read():
        data = http.readAll()
        expected = b"0123456789abcdef" * (len(data) // 16 + 2)
        if not expected.startswith(data, n_read[0] % 16):
            wrong.append(n_read[0])
        n_read[0] += len(data)

    http.readyRead.connect(read)
    http.get("/")
    finish(http)
    assert (n_read[0], wrong, http.bytesAvailable()) == (64 << 20, [], 0)


def test_readyread_slot_that_reads_nothing_told_all_the_same(make, path_server, record, finish):
    http = make(path_server)
    told = record(http, "readyRead")
    path = path_server.path("thirds", 300)
    http.get(path)
    finish(http)
    assert told.events and http.readAll() == path_server.body(path)


# -- how long it stays
def test_unread_data_after_done_stays_until_the_next_request_starts(fetched):
    http, body = fetched()
    assert http.read(10) == body[:10]
    number = http.get("/whole/20/next")
    assert (http.currentId(), http.bytesAvailable()) == (number, 80)       # it was queued, not started
    assert http.waitForDone(2000) and http.readAll() == b"/whole/20/next|/whol"


def test_unread_data_after_close_and_clear_and_idle_abort_stays(fetched):
    http, body = fetched()
    http.clearPendingRequests()
    http.abort()
    assert http.waitForDone(1000) and http.readAll() == body


def test_unread_data_after_abort_stays(make, path_server, finish):
    http = make(path_server)
    path = path_server.path("thirds", 90)
    http.readyRead.connect(http.abort)
    http.get(path)
    finish(http)
    data = http.readAll()
    assert http.error() == QHttp.Aborted and data and path_server.body(path).startswith(data)


def test_unread_data_after_a_cut_body_is_a_beginning(make, path_server, finish):
    http = make(path_server)
    path = path_server.path("cut", 90)
    http.get(path)
    finish(http)
    assert http.error() == QHttp.WrongContentLength and http.readAll() == path_server.body(path)[:30]


def test_unread_data_after_an_idle_connection_is_lost_stays(make, scripted_server, finish, turn_until):
    http = make(scripted_server([ReceiveRequest(), Send(whole(b"kept")), Close()]))
    http.get("/")
    finish(http)
    turn_until(lambda: http.state() == QHttp.Unconnected)
    assert http.readAll() == b"kept" and http.error() == QHttp.NoError


def test_unread_data_of_a_request_with_destination_is_none(make, path_server, finish):
    http, to = make(path_server), io.BytesIO()
    http.get(path_server.path("whole"))
    finish(http)
    http.get(path_server.path("whole"), to)
    finish(http)
    assert (http.bytesAvailable(), http.readAll()) == (0, b"") and len(to.getvalue()) == 90


# -- the read buffer's limit
def drain(http, step, patience=4000):
    """Reads outside of slots, as a script does that has no signals."""
    pieces = []
    while not http.waitForDone(2) and patience > 0:
        patience -= 2
        while piece := http.read(step):
            pieces.append(piece)
    return b"".join([*pieces, http.readAll()])


@pytest.mark.parametrize("limit", [1, 100, 65536, 10**6])
@pytest.mark.parametrize("style", STYLES)
def test_readbuffersize_body_larger_than_it_read_outside_of_slots(make, path_server, style, limit):
    http = make(path_server)
    http.setReadBufferSize(limit)
    path = path_server.path(style, 40 if limit == 1 else 30 * limit if limit < 65536 else BIG)
    http.get(path)
    assert drain(http, 1 << 20) == path_server.body(path) and http.error() == QHttp.NoError


@pytest.mark.parametrize("step", [20_000, 10**7])
def test_readbuffersize_exceeded_by_one_receive_at_most(make, scripted_server, step):
    limit, size = 50_000, 2_000_000
    http = make(scripted_server([ReceiveRequest(), Send(head(b"Content-Length: %d" % size)), Repeat(b"x" * 1000, 2000)]))
    http.setReadBufferSize(limit)
    most, total = 0, 0
    http.get("/")
    while not http.waitForDone(1):
        most = max(most, http.bytesAvailable())
        total += len(http.read(step))
    assert total + len(http.readAll()) == size and most <= limit + RECEIVE_MAX


def test_readbuffersize_nobody_reads_request_waits_and_abort_ends_it(make, path_server, record):
    http = make(path_server)
    told = record(http)
    http.setReadBufferSize(1000)
    http.get(path_server.path("body", BIG))
    assert not http.waitForDone(30) and http.bytesAvailable() <= 1000 + RECEIVE_MAX
    http.abort()
    assert http.waitForDone(1000) and told.of("done") == [True]


@pytest.mark.parametrize("new", [0, 10**8])
def test_readbuffersize_raised_meanwhile_goes_on(make, path_server, finish, new):
    http = make(path_server)
    http.setReadBufferSize(1000)
    path = path_server.path("body", BIG)
    http.get(path)
    assert not http.waitForDone(20)
    http.setReadBufferSize(new)
    finish(http)
    assert http.readAll() == path_server.body(path)


def test_readbuffersize_does_not_hold_destinations(make, path_server, finish, tmp_path):
    http, to = make(path_server), io.BytesIO()
    http.setReadBufferSize(10)
    path = path_server.path("chunks", BIG)
    http.get(path, to)
    with open(tmp_path / "to", "w+b") as file:
        http.get(path, file)
        finish(http)
        file.seek(0)
        assert to.getvalue() == file.read() == path_server.body(path)


def test_readbuffersize_server_closes_while_paused_nothing_lost(make, scripted_server):
    body = bytes(range(256)) * 2000
    server = scripted_server([ReceiveRequest(), Send(head(b"Transfer-Encoding: chunked") + chunk(body) + b"0\r\n\r\n"),
                              Close()])
    http = make(server)
    http.setReadBufferSize(100)
    http.get("/")
    assert not http.waitForDone(20)
    assert drain(http, 10_000) == body and http.error() == QHttp.NoError


@pytest.mark.parametrize("size", [-1, 2**53])
def test_readbuffersize_out_of_range_refused_by_name(make, size):
    with pytest.raises(ValueError, match="size"):
        make().setReadBufferSize(size)


@pytest.mark.parametrize("size", [True, 1.0, "1", None])
def test_readbuffersize_of_wrong_type_refused_by_name(make, size):
    with pytest.raises(TypeError, match="size"):
        make().setReadBufferSize(size)


def test_read_of_another_object_in_a_slot_each_gets_its_own(make, path_server):
    objects = [make(path_server) for _ in range(5)]
    pieces = [[] for _ in objects]

    def read_all_of_them():
        for http, row in zip(objects, pieces, strict=True):
            row.append(http.read(11))

    paths = [path_server.path("thirds", 500, n) for n in range(5)]
    for http, path in zip(objects, paths, strict=True):
        http.readyRead.connect(read_all_of_them)
        http.get(path)
    assert qhttp.run(3000)
    for http, row, path in zip(objects, pieces, paths, strict=True):
        assert b"".join([*row, http.readAll()]) == path_server.body(path)

"""QByteArray: bytes in every respect, Qt's methods beside, and no copy on the way out of a client."""
import copy
import gc
import io
import json
import pickle
import sys
import tracemalloc

import pytest
from support.actions import ReceiveRequest, Send

from qhttp.byte_array import QByteArray

TEXT = QByteArray(b"one two one")


def test_byte_array_is_bytes_in_every_respect():
    plain = b"one two one"
    assert isinstance(TEXT, bytes) and plain == TEXT and hash(TEXT) == hash(plain) and {TEXT: 1}[plain] == 1
    assert sys.getsizeof(TEXT) == sys.getsizeof(plain) and not gc.is_tracked(TEXT)
    assert b"".join([TEXT, TEXT]) == plain * 2 and TEXT[4:7] == b"two" and TEXT[0] == ord("o") and bytes(TEXT) == plain
    assert type(bytes(TEXT)) is bytes and repr(TEXT) == repr(plain) and memoryview(TEXT) == plain
    assert TEXT.decode() == "one two one"
    file = io.BytesIO()
    assert file.write(TEXT) == 11 and file.getvalue() == plain
    assert json.loads(QByteArray(b'{"a": 1}')) == {"a": 1}


def test_byte_array_of_nothing_is_empty():
    nothing = QByteArray()
    assert nothing.isEmpty() and nothing.isNull() and nothing.size() == 0 and not nothing and nothing == b""
    assert not TEXT.isEmpty() and not TEXT.isNull()


@pytest.mark.parametrize("value", [QByteArray(), QByteArray(b"x"), TEXT])
def test_byte_array_can_be_pickled_and_copied(value):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(value, protocol))
        assert again == value and type(again) is QByteArray
    assert copy.copy(value) == value and type(copy.deepcopy(value)) is QByteArray


@pytest.mark.parametrize("call, result", [
    (lambda a: a.data(), b"one two one"), (lambda a: a.size(), 11), (lambda a: a.length(), 11), (lambda a: a.count(), 11),
    (lambda a: a.count(b"one"), 2), (lambda a: a.count(b"one", 1), 1), (lambda a: a.at(4), b"t"),
    (lambda a: a.left(3), b"one"), (lambda a: a.left(99), b"one two one"), (lambda a: a.left(-1), b"one two one"),
    (lambda a: a.left(0), b""), (lambda a: a.right(3), b"one"), (lambda a: a.right(0), b""), (lambda a: a.right(99), TEXT),
    (lambda a: a.mid(4), b"two one"), (lambda a: a.mid(4, 3), b"two"), (lambda a: a.mid(0), TEXT), (lambda a: a.mid(99), b""),
    (lambda a: a.mid(-2, 5), b"one"), (lambda a: a.mid(-9, 3), b""), (lambda a: a.mid(-9), TEXT),
    (lambda a: a.startsWith(b"one"), True), (lambda a: a.endsWith(b"two"), False), (lambda a: a.contains(b"two"), True),
    (lambda a: a.indexOf(b"one"), 0), (lambda a: a.indexOf(b"one", 1), 8), (lambda a: a.indexOf(b"x"), -1),
    (lambda a: a.lastIndexOf(b"one"), 8), (lambda a: a.toUpper(), b"ONE TWO ONE"), (lambda a: a.left(1).toHex(), b"6f"),
    (lambda a: a.left(3).toBase64(), b"b25l"), (lambda a: QByteArray(b" 1 \n 2 ").trimmed(), b"1 \n 2"),
    (lambda a: QByteArray(b" 1 \n 2 ").simplified(), b"1 2"), (lambda a: QByteArray(b"AbC").toLower(), b"abc"),
    (lambda a: QByteArray(b"12").toInt(), (12, True)), (lambda a: QByteArray(b"x").toInt(), (0, False)),
    (lambda a: QByteArray(b"ff").toInt(16), (255, True)), (lambda a: QByteArray(b"1.5").toDouble(), (1.5, True)),
    (lambda a: QByteArray(b"").toDouble(), (0.0, False)), (lambda a: QByteArray.fromHex(b"6f6e"), b"on"),
    (lambda a: QByteArray.fromBase64(b"b25l"), b"one"), (lambda a: a + b"!", b"one two one!")])
def test_byte_array_methods_of_qt(call, result):
    found = call(TEXT)
    assert found == result
    if isinstance(found, bytes) and len(found) > 1:
        assert type(found) is QByteArray


def test_byte_array_at_beyond_the_end_raises():
    for i in (-1, 11):
        with pytest.raises(IndexError, match="from 0 to 10"):
            TEXT.at(i)


def test_byte_array_and_text_do_not_add():
    with pytest.raises(TypeError):
        TEXT + "text"


def test_byte_array_subclass_works():
    class Named(QByteArray):
        pass

    named = Named(b"abc")
    named.name = named
    assert named.left(2) == b"ab" and type(named.mid(1)) is QByteArray


# -- out of a client
@pytest.mark.parametrize("size", [0, 1, 2, 1000, 16 << 10, (16 << 10) + 1, 300_000, 5 << 20])
@pytest.mark.parametrize("part", ["all", "read", "pieces"])
def test_answer_of_any_size_is_a_byte_array(make, path_server, finish, size, part):
    http = make(path_server)
    path = path_server.path("whole", size)
    http.get(path)
    finish(http)
    if part == "pieces":
        pieces = [http.read(n) for n in (0, 1, 1, 100)] + [http.readAll()]
        assert all(type(piece) is QByteArray for piece in pieces)
        data = QByteArray().join(pieces)
    else:
        data = http.readAll() if part == "all" else http.read(10 << 20)
        assert type(data) is QByteArray and data.data() is data and sys.getsizeof(data) == sys.getsizeof(bytes(data))
    assert data == path_server.body(path) and http.readAll() == b""
    shared = [bytes(value) for value in [(), *([n] for n in range(256))]]
    assert all(type(value) is bytes for value in shared)     # what the interpreter keeps for all is as it was


def test_answers_that_go_leave_nothing_behind(make, path_server, finish):
    gc.collect()                        # what other tests have left would go meanwhile
    http = make(path_server)
    held, n_before = [], None
    for _ in range(300):
        http.get(path_server.path("whole", 100))
        finish(http)
        held.append(http.readAll())
        held.append(http.read(1))
        n_before = n_before or sys.getrefcount(QByteArray)
    n_full = sys.getrefcount(QByteArray)
    del held
    assert n_full - sys.getrefcount(QByteArray) == 300 and abs(sys.getrefcount(QByteArray) - n_before) <= 1


def test_answer_of_64_mib_is_not_copied(make, finish, scripted_server):
    size = 64 << 20
    server = scripted_server([ReceiveRequest(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)])
    http = make(server)
    tracemalloc.start()
    try:
        http.get("/")
        finish(http)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        data = http.readAll()
        assert len(data) == size and type(data) is QByteArray
        assert tracemalloc.get_traced_memory()[1] - before < 1 << 20
    finally:
        tracemalloc.stop()

"""The file server of the long tests: sound without faults, each fault as it is named, the same draw in every process."""
import hashlib
import json
import socket
import ssl

import pytest

from support.certificate import make_certificate
from support.file_faults import FAULTS, N_PERCENT, FaultDraw
from support.file_server_process import FileServerProcess
from support.seeded_files import SeededFiles

SEED = 11
FILES = SeededFiles(SEED)
BIG = next(number for number in range(1000) if FILES.size(number) > 200_000)
SMALL = next(number for number in range(1000) if 10 < FILES.size(number) < 1000)
EMPTY = next(number for number in range(1000) if FILES.size(number) == 0)
SILENCE_S = 0.3             # until a server that has to stall is believed


@pytest.fixture(scope="module")
def server():
    with FileServerProcess(seed=SEED, max_faults=0, fault_percent=0, pause_s=0.01, paused_percent=50) as server:
        yield server


@pytest.fixture
def fault(server):
    """Gives every attempt of a test one fault: fault(name)."""
    yield lambda name: server.ask(f"only {name}")
    server.ask("only")
    server.ask("version 0")


class Wire:
    """One connection, as bytes."""

    def __init__(self, server):
        self.sock = socket.create_connection(("127.0.0.1", server.port))
        self.sock.settimeout(5)

    def ask(self, number, *fields, method="GET"):
        self.sock.sendall("\r\n".join([f"{method} /f/{number} HTTP/1.1", "Host: x", *fields, "", ""]).encode())

    def answer(self, with_body=True):
        """(status, fields, body) of one answer that has a length."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.sock.recv(1) or pytest.fail(f"the head ends: {head}")
        status, fields = parsed(head)
        left, body = int(fields["content-length"]) if with_body else 0, b""
        while len(body) < left:
            body += self.sock.recv(left - len(body)) or pytest.fail("the body ends")
        return status, fields, body

    def rest(self, until=lambda data: False, patience_s=5.0):
        """All that comes until a condition holds, and how that ends: "fin", "reset", "silence" or "enough"."""
        data = b""
        self.sock.settimeout(patience_s)
        try:
            while block := self.sock.recv(1 << 20):
                data += block
                if until(data):
                    return data, "enough"
            return data, "fin"
        except ConnectionResetError:
            return data, "reset"
        except TimeoutError:
            return data, "silence"


def parsed(head):
    first, *lines = head.decode().rstrip().split("\r\n")
    return int(first.split()[1]), {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


@pytest.fixture
def wire(server):
    wire = Wire(server)
    yield wire
    wire.sock.close()


# -- the files
def test_files_of_another_object_are_the_same():
    assert bytes(SeededFiles(SEED).view(BIG)) == bytes(FILES.view(BIG))
    assert bytes(FILES.view(BIG, start=1000, end=2000)) == bytes(FILES.view(BIG))[1000:2000]
    assert FILES.sha256(BIG) == hashlib.sha256(FILES.view(BIG)).digest()


def test_files_of_other_versions_and_seeds_differ():
    contents = {bytes(files.view(BIG, version)[:100])
                for files in (FILES, SeededFiles(SEED + 1)) for version in range(50)} - {b""}
    assert len(contents) > 90
    assert len({FILES.etag(BIG, version) for version in range(50)}) == 50


def test_sizes_span_all_orders_of_magnitude():
    sizes = [FILES.size(number) for number in range(5000)]
    assert min(sizes) == 0 and 1_000_000 < max(sizes) <= 1 << 20
    for low in (10, 100, 1000, 10_000, 100_000):
        assert 600 < sum(low <= size < 10 * low for size in sizes) < 1100


# -- the draw
def test_draw_gives_each_fault_its_share():
    draw, n = FaultDraw(5, n_most=0), 40_000
    names = [fault.name for number in range(n) if (fault := draw.draw(number, 0))]
    assert abs(len(names) / n - N_PERCENT / 100) < 0.01
    for name, percent in FAULTS.items():
        assert abs(names.count(name) / n * 100 - percent) < 0.5, name


def test_draw_gives_only_the_faults_that_were_named():
    draw = FaultDraw(5, n_most=0, percent=50, names=("reset", "503"))
    names = [fault.name for number in range(2000) if (fault := draw.draw(number, 0))]
    assert set(names) == {"reset", "503"} and abs(len(names) - 1000) < 100
    assert abs(names.count("503") - len(names) / 3) < 60


def test_draw_is_the_same_again_and_differs_by_attempt():
    first, second = FaultDraw(5), FaultDraw(5)
    assert [first.draw(7, n) for n in range(100)] == [second.draw(7, n) for n in range(100)]
    assert len({str(first.draw(7, n)) for n in range(100)}) > 15


def test_draw_ends_with_the_last_fault_that_is_allowed():
    draw = FaultDraw(5, n_most=5)
    for _ in range(5):
        draw.given(7)
    assert all(draw.draw(7, n) is None for n in range(200))
    assert any(draw.draw(8, n) for n in range(200))


# -- the server without faults
@pytest.mark.parametrize("number", [BIG, SMALL, EMPTY])
def test_whole_file_comes_again_and_again(wire, number):
    for _ in range(3):
        wire.ask(number)
    for _ in range(3):
        status, fields, body = wire.answer()
        assert (status, body) == (200, bytes(FILES.view(number)))
        assert fields["etag"] == FILES.etag(number) and fields["accept-ranges"] == "bytes"
        assert fields["last-modified"] == FILES.last_modified(number)


@pytest.mark.parametrize("asked, start, end", [("5-", 5, None), ("0-0", 0, 1), ("100-199", 100, 200), ("-7", -7, None),
                                               ("0-99999999", 0, None)])
def test_range_gives_these_bytes(wire, asked, start, end):
    content = bytes(FILES.view(BIG))
    wire.ask(BIG, f"Range: bytes={asked}")
    status, fields, body = wire.answer()
    assert (status, body) == (206, content[start:end])
    first = content.index(body)
    assert fields["content-range"] == f"bytes {first}-{first + len(body) - 1}/{len(content)}"


@pytest.mark.parametrize("number, asked", [(SMALL, "1000-"), (EMPTY, "0-"), (SMALL, "-0")])
def test_range_behind_the_end_is_told_the_size(wire, number, asked):
    wire.ask(number, f"Range: bytes={asked}")
    status, fields, _ = wire.answer()
    assert (status, fields["content-range"]) == (416, f"bytes */{FILES.size(number)}")


@pytest.mark.parametrize("condition, status", [
    (FILES.etag(BIG), 206), (FILES.last_modified(BIG), 206),
    (FILES.etag(BIG, 1), 200), (FILES.last_modified(BIG, 1), 200), ("W/" + FILES.etag(BIG), 200),
])
def test_if_range_decides(wire, condition, status):
    wire.ask(BIG, "Range: bytes=10-", f"If-Range: {condition}")
    assert wire.answer()[0] == status


def test_head_has_no_body_and_other_paths_are_not_found(wire):
    wire.ask(BIG, method="HEAD")
    assert wire.answer(with_body=False)[1]["content-length"] == str(FILES.size(BIG))
    wire.ask("x")
    assert wire.answer()[0] == 404


def test_version_changes_content_and_validators(wire, server, fault):
    assert server.ask("version 3") == 3
    wire.ask(BIG, f"If-Range: {FILES.etag(BIG)}", "Range: bytes=10-")
    status, fields, body = wire.answer()
    assert (status, fields["etag"], body) == (200, FILES.etag(BIG, 3), bytes(FILES.view(BIG, 3)))


def test_log_and_counts_tell_what_was_asked(wire, server):
    server.ask("log")
    before = server.ask("counts").get(str(SMALL), 0)
    for number in (SMALL, BIG, SMALL):
        wire.ask(number)
        wire.answer()
    assert server.ask("log") == [SMALL, BIG, SMALL] and server.ask("log") == []
    assert server.ask("counts")[str(SMALL)] == before + 2
    assert json.dumps(server.ask("report"))


def test_unknown_command_is_an_error(server):
    with pytest.raises(RuntimeError, match="no such command"):
        server.ask("dance")


# -- the faults
@pytest.mark.parametrize("name, ending", [("reset", "reset"), ("fin", "fin"), ("stall", "silence")])
@pytest.mark.parametrize("number", [BIG, SMALL, EMPTY])
def test_cut_body_is_a_true_beginning(wire, fault, number, name, ending):
    fault(name)
    wire.ask(number)
    data, how = wire.rest(patience_s=SILENCE_S if ending == "silence" else 5)
    assert how == ending
    head, blank, body = data.partition(b"\r\n\r\n")
    if number == EMPTY:
        assert not blank                        # an empty body cannot be cut
    else:
        assert parsed(head)[1]["content-length"] == str(FILES.size(number))
        assert len(body) < FILES.size(number) and bytes(FILES.view(number)).startswith(body)


@pytest.mark.parametrize("number", [BIG, SMALL, EMPTY])
def test_too_long_announces_more_than_comes(wire, fault, number):
    fault("too long")
    wire.ask(number)
    data, how = wire.rest()
    head, _, body = data.partition(b"\r\n\r\n")
    assert how == "fin" and body == bytes(FILES.view(number))
    assert int(parsed(head)[1]["content-length"]) > len(body)


@pytest.mark.parametrize("number", [BIG, SMALL])
def test_too_short_announces_less_than_comes(wire, fault, number):
    fault("too short")
    wire.ask(number)
    content = bytes(FILES.view(number))
    data, how = wire.rest(lambda data: data.endswith(content))
    head, _, body = data.partition(b"\r\n\r\n")
    assert how == "enough" and body == content
    assert int(parsed(head)[1]["content-length"]) < len(body)


@pytest.mark.parametrize("number", [BIG, EMPTY])
def test_bad_chunk_stands_behind_good_ones(wire, fault, number):
    fault("bad chunk")
    wire.ask(number)
    data, how = wire.rest()
    head, _, body = data.partition(b"\r\n\r\n")
    assert parsed(head)[1]["transfer-encoding"] == "chunked" and how == "fin" and body.endswith(b"no size\r\n")
    assert int(body.split(b"\r\n")[0], 16) if number == BIG else body == b"no size\r\n"


def test_drip_comes_slowly_and_is_right(wire, fault):
    fault("drip")
    wire.ask(BIG)
    data, _ = wire.rest(lambda data: b"\r\n\r\n" in data)
    body = data.partition(b"\r\n\r\n")[2] + b"".join(wire.rest(bool)[0] for _ in range(4))
    assert len(body) < FILES.size(BIG) and bytes(FILES.view(BIG)).startswith(body)


@pytest.mark.parametrize("name, later", [("503", {None}), ("429", {"0", "1"})])
def test_status_asks_to_come_again(wire, fault, name, later):
    fault(name)
    for number in range(20):
        wire.ask(number)
    answers = [wire.answer() for _ in range(20)]
    assert {status for status, _, _ in answers} == {int(name)}
    assert {fields.get("retry-after") for _, fields, _ in answers} == later


def test_surplus_stands_behind_a_right_answer(wire, server, fault):
    fault("surplus")
    before = server.ask("report")["requests after surplus"]
    for _ in range(20):
        wire.ask(SMALL)
    data, _ = wire.rest(lambda data: data.count(b"\r\n\r\nevil") + data.count(b"\x00surplus\r\n") == 20)
    assert data.count(bytes(FILES.view(SMALL))) == 20 and data.count(b"evil") > 0
    assert server.ask("report")["requests after surplus"] == before + 19


def test_whole_for_range_is_a_fault_only_with_a_range(wire, server, fault):
    fault("whole for range")
    wire.ask(BIG, "Range: bytes=10-")
    assert wire.answer()[::2] == (200, bytes(FILES.view(BIG)))
    before = server.ask("report")["faults"]["whole for range"]
    wire.ask(BIG)
    assert wire.answer()[0] == 200
    assert server.ask("report")["faults"]["whole for range"] == before


def test_repr_digest_and_the_bound_of_faults_are_options():
    with FileServerProcess(seed=SEED, max_faults=2, fault_percent=100, repr_digest=True, hosts=2) as server:
        assert [server.url(n).split(":")[1] for n in range(3)] == ["//127.0.0.1", "//127.0.0.2", "//127.0.0.1"]
        server.ask("only 503")
        wire = Wire(server)
        for _ in range(4):
            wire.ask(SMALL)
        answers = [wire.answer() for _ in range(4)]
        assert [status for status, _, _ in answers] == [503, 503, 200, 200]
        assert answers[2][1]["repr-digest"].startswith("sha-256=:")
        wire.sock.close()


# -- whose an answer is
@pytest.mark.parametrize("fields, name, status", [
    ([], "", 200), (["Range: bytes=1-"], "", 206), (["Range: bytes=99999999-"], "", 416), ([], "503", 503),
    (["Range: bytes=1-"], "whole for range", 200),
])
def test_answer_tells_which_file_was_asked_for(wire, fault, fields, name, status):
    if name:
        fault(name)
    wire.ask(BIG, *fields)
    got, told, _ = wire.answer()
    assert (got, told["x-file"], "x-after-surplus" in told) == (status, str(BIG), False)


def test_answer_behind_a_surplus_is_told_to_be(wire, server, fault):
    fault("surplus")
    wire.ask(SMALL)
    wire.rest(lambda data: data.endswith((b"evil", b"\x00surplus\r\n")))
    server.ask("only")
    wire.ask(SMALL)
    assert wire.answer()[1]["x-after-surplus"] == "1"


def test_owner_is_told_by_the_beginning():
    assert FILES.owner(bytes(FILES.view(BIG)), 1000) == BIG
    assert FILES.owner(bytes(FILES.view(BIG))[1:], 1000) is None and FILES.owner(b"", 1000) is None


# -- TLS
@pytest.mark.parametrize("name, ending", [("", "enough"), ("fin", "fin"), ("reset", "reset, or fin where ssl hides it")])
def test_tls_serves_the_same_and_faults_alike(tmp_path, name, ending):
    pem = make_certificate(tmp_path)
    with FileServerProcess(seed=SEED, max_faults=0, fault_percent=0, no_log=True, certificate=pem) as server:
        server.ask(f"only {name}")
        wire = Wire(server)
        wire.sock = ssl.create_default_context(cafile=pem).wrap_socket(wire.sock, server_hostname="127.0.0.1")
        wire.ask(SMALL)
        content = bytes(FILES.view(SMALL))
        data, how = wire.rest(lambda data: data.endswith(content))
        assert how in ending and content.startswith(data.partition(b"\r\n\r\n")[2])
        assert server.url(SMALL).startswith("https:") and server.ask("log") == []
        wire.sock.close()

"""Each named fault does to a QHttp what its first line says."""
import pytest

import qhttp
from support import faults

IDLE_MS, TOTAL_MS = 300, 600        # against servers that stall or drip; no server here sleeps for a comparable time
PATIENCE_MS = 5000
UPLOAD = b"u" * (8 << 20)           # more than socket buffers take


def fetch(server, data=None):
    """The name of the error, the status and the body of one request."""
    http = qhttp.QHttp(server.host, server.port)
    http.setTransferTimeout(IDLE_MS)
    http.setTotalTimeout(TOTAL_MS)
    if data is None:
        http.get("/")
    else:
        http.post("/", data)
    assert http.waitForDone(PATIENCE_MS)
    status = http.lastResponse().statusCode() if http.lastResponse().isValid() else None
    return http.error().name, status, bytes(http.readAll())


@pytest.mark.parametrize("make", [faults.answer, faults.answer_bytewise, faults.answer_until_close,
                                  faults.surplus_bytes, faults.close_after_answer])
def test_script_without_fault_delivers_the_body(scripted_server, make):
    assert fetch(scripted_server(make())) == ("NoError", 200, faults.BODY)


@pytest.mark.parametrize("make, error", [
    (faults.no_answer, "UnexpectedClose"),
    (faults.reset_before_answer, "UnexpectedClose"),
    (faults.cut_head, "UnexpectedClose"),
    (faults.cut_body, "WrongContentLength"),
    (faults.reset_mid_body, "WrongContentLength"),
    (faults.reset_until_close, "UnexpectedClose"),
    (faults.cut_chunks, "WrongContentLength"),
    (faults.bad_head, "InvalidResponseHeader"),
    (faults.bad_chunk, "WrongContentLength"),
    (faults.two_lengths, "InvalidResponseHeader"),
    (faults.claimed_length, "WrongContentLength"),
    (faults.endless_head, "InvalidResponseHeader"),
    (faults.stall_before_head, "UnknownError"),
    (faults.stall, "UnknownError"),
    (faults.drip, "UnknownError"),
])
def test_fault_ends_with_the_error_it_names(scripted_server, make, error):
    assert fetch(scripted_server(beyond=make()))[0] == error


def test_reset_at_once_is_an_error(scripted_server):
    assert fetch(scripted_server(beyond=faults.reset_at_once()))[0] in ("UnexpectedClose", "UnknownError")


def test_early_answer_to_upload_delivered(scripted_server):
    assert fetch(scripted_server(faults.early_answer()), UPLOAD) == ("NoError", 413, b"large")


def test_reset_mid_upload_is_an_error(scripted_server):
    assert fetch(scripted_server(beyond=faults.reset_mid_upload()), UPLOAD)[0] in ("UnexpectedClose", "UnknownError")

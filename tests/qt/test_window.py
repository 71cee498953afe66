"""The window of examples/window.py: downloads with a moving bar, cancels, downloads again. QHTTP_PICTURES photographs it."""
import importlib.util
import os
from pathlib import Path

import pytest
from support import faults
from support.actions import Pause, ReceiveRequest, Send

ROOT = Path(__file__).resolve().parents[2]
PIECE, N_PIECES = b"p" * 100_000, 20
BODY = PIECE * N_PIECES
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


@pytest.fixture
def window(application, tmp_path):
    spec = importlib.util.spec_from_file_location("example_window", ROOT / "examples" / "window.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.HttpWindow(folder=str(tmp_path))
    made.show()
    yield made
    made.close()


def photograph(window, name):
    folder = os.environ.get("QHTTP_PICTURES")
    if folder:
        assert window.grab().save(os.path.join(folder, f"window-{name}.png"))


def slow_answer(held):
    """Half of the body, and the rest when `held` lets it."""
    half = N_PIECES // 2
    return [ReceiveRequest(), Send(HEAD + PIECE), Pause(0.02), *[Send(PIECE)] * (half - 1), Pause(held), *[Send(PIECE)] * half]


def test_window_downloads_with_a_moving_bar_cancels_and_downloads_again(scripted_server, window, turn, tmp_path):
    server = scripted_server(slow_answer(30), slow_answer(0.05))
    values = []
    window.bar.valueChanged.connect(values.append)
    window.url_edit.setText(f"http://{server.host}:{server.port}/report.bin")
    window.download_button.click()
    assert window.cancel_button.isEnabled() and not window.download_button.isEnabled()
    turn(lambda: window.bar.value() >= len(BODY) // 2)
    assert window.bar.maximum() == len(BODY)
    photograph(window, "downloading")
    window.cancel_button.click()
    turn(lambda: window.download_button.isEnabled())
    assert window.status.text() == "Cancelled." and list(tmp_path.iterdir()) == []
    photograph(window, "cancelled")
    del values[:]
    window.download_button.click()
    turn(lambda: window.download_button.isEnabled())
    assert (tmp_path / "report.bin").read_bytes() == BODY
    assert len([value for value in values if value > 0]) >= 3 and sorted(values[1:]) == values[1:]
    assert "2,000,000 bytes" in window.status.text()
    photograph(window, "downloaded")


MISSING = [ReceiveRequest(), Send(faults.whole(b"no", status=b"HTTP/1.1 404 Not Found\r\n"))]


@pytest.mark.parametrize("script, said", [(MISSING, "404"), (faults.cut_body(), "failed")])
def test_window_tells_what_went_wrong_and_keeps_no_file(scripted_server, window, turn, tmp_path, script, said):
    server = scripted_server(beyond=script)
    window.url_edit.setText(f"http://{server.host}:{server.port}/x")
    window.download_button.click()
    turn(lambda: window.download_button.isEnabled())
    assert said in window.status.text() and list(tmp_path.iterdir()) == []


def test_window_text_that_is_no_url_is_told(window):
    window.url_edit.setText("nonsense")
    window.download_button.click()
    assert "no URL" in window.status.text()

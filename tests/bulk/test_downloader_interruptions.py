"""Code of the user's, a signal's handler as a rule, that runs within Python code of the downloader's own."""
import pytest
from bulk.downloads import LARGE, LIMIT_S, body, files_in, running
from bulk.origin import Origin, answer
from support.actions import Pause

import qhttp
from qhttp.bulk import answered, rate, requests


class Within:
    """In the place of a function: `handler` is called in its n-th call, before it does its work."""

    def __init__(self, function, n, handler):
        self.function, self.n, self.handler, self.n_calls = function, n, handler, 0

    def __call__(self, *given):
        self.n_calls += 1
        if self.n_calls == self.n:
            self.handler()
        return self.function(*given)


@pytest.mark.parametrize("n", range(1, 12))
def test_interruption_that_cancels_while_leave_to_receive_is_asked_for_is_sound(n, monkeypatch, tmp_path):
    pages = {f"/{name}": [answer(200, body(LARGE)[:9000], length=LARGE), Pause(0.02), body(LARGE)[9000:]] for name in "abc"}
    with Origin(pages) as origin:
        rows = [origin.url(path) for path in pages]
        with running(rows, dir=tmp_path, limit_rate=10**9, retries=0) as (downloader, seen):
            last = []
            downloader.progress.connect(lambda transfer, *_: last.append(transfer))
            within = Within(rate.first_wait_s, n, lambda: last and last[-1].cancel())
            monkeypatch.setattr(rate, "first_wait_s", within)
            assert downloader.run()
    assert len(seen.ended) == 3 and len(seen.failed) <= 1
    assert all(isinstance(transfer.error, qhttp.Cancelled) for transfer in seen.failed)
    assert files_in(tmp_path) == {transfer.url[-1]: body(LARGE) for transfer in seen.finished}


@pytest.mark.parametrize("size", [50, 3000])
def test_interruption_that_turns_the_loop_while_a_head_is_judged_gives_no_other_bytes(size, monkeypatch, tmp_path):
    """What the other answers' heads are received over is asked for again."""
    names = "abcdef"
    pages = {f"/{name}": answer(200, body(size, seed), ("Content-Disposition", f"attachment; filename={name}"))
             for seed, name in enumerate(names)}
    with Origin(pages) as origin:
        rows = [origin.url(path) for path in pages]
        with running(rows, dir=tmp_path, content_disposition=True) as (_, seen):
            within = Within(answered.path_for, 1, lambda: qhttp.loop().run(300))
            monkeypatch.setattr(answered, "path_for", within)
            assert seen.downloader.run(int(LIMIT_S * 1000))
    assert within.n_calls >= len(names) and len(seen.finished) == len(names)
    assert files_in(tmp_path) == {name: body(size, seed) for seed, name in enumerate(names)}


@pytest.mark.parametrize("n", range(2, 8))
@pytest.mark.parametrize("verb", ["run", "cancel"])
def test_interruption_while_a_request_before_its_turn_is_made_leaves_none_behind(verb, n, monkeypatch, tmp_path):
    """The loop is turned until the answer before it is there, its connection another's; or all that run are cancelled."""
    names = "abcdefgh"
    with Origin({f"/{name}": answer(200, body(500, seed)) for seed, name in enumerate(names)}) as origin:
        rows = [{"url": origin.url(f"/{name}"), "headers": [("X", name)]} for name in names]
        with running(rows, dir=tmp_path, per_host=1, pipelining=3, retries=0) as (downloader, seen):
            def interrupt():
                if verb == "run":
                    qhttp.loop().run(50)
                else:
                    for transfer in downloader.running:
                        transfer.cancel()

            monkeypatch.setattr(requests, "fields_for", Within(requests.fields_for, n, interrupt))
            assert downloader.run()
    assert len(seen.ended) == len(names) and (verb == "cancel" or not seen.failed)
    assert all(isinstance(transfer.error, qhttp.Cancelled) for transfer in seen.failed)
    assert files_in(tmp_path) == {transfer.url[-1]: body(500, names.index(transfer.url[-1])) for transfer in seen.finished}

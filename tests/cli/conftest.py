"""What the tests of the command share."""
import pytest
from cli.fake import FakeDownloader
from support.watchdog import limited

import qhttp.cli
import qhttp.cli.command

LIMIT_S = 30            # of one test


@pytest.fixture(autouse=True)
def watchdog():
    with limited(LIMIT_S):
        yield


class Ran:
    """What a call of the command came to."""

    def __init__(self, status, out, err, downloader):
        self.status, self.out, self.err, self.downloader = status, out, err, downloader

    @property
    def settings(self):
        return self.downloader.settings


@pytest.fixture
def command(monkeypatch, capfd, tmp_path):
    """Calls main() in an empty folder, with a fake downloader: command(*words, outcomes={url: outcome}, before=function)."""
    monkeypatch.chdir(tmp_path)

    def run(*words, outcomes=None, before=None):
        made = []

        def make(settings):
            made.append(FakeDownloader(outcomes, **settings))
            if before is not None:
                before(made[-1])
            return made[-1]

        monkeypatch.setattr(qhttp.cli.command, "make_downloader", make)
        status = qhttp.cli.main(list(words))
        out, err = capfd.readouterr()
        return Ran(status, out, err, made[-1] if made else None)

    return run

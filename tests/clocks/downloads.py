"""Downloads whose time is the test's: begun, and turned by the clock."""
import contextlib

from bulk.downloads import Seen

import qhttp


class Jittered(qhttp.Downloader):
    """Its jitter is what the test says: 0.0 to 1.0."""
    jitter = 1.0

    def random(self):
        return self.jitter


@contextlib.contextmanager
def begun(rows, folder, *, kind=Jittered, **settings):
    """A downloader that has been started, and what is seen of it; its file thread has nothing left when it is closed."""
    with kind(rows, **{"proxy": None, "dir": folder, **settings}) as downloader:
        seen = Seen(downloader)
        downloader.start()
        yield downloader, seen
        downloader.stop()

"""qhttp in a GLib (GTK, GNOME) program: one source watches the one descriptor.

    python examples/loop_glib.py http://localhost:8000/a http://localhost:8000/b
"""
import sys
from urllib.parse import urlsplit

from gi.repository import GLib

import qhttp


def attach():
    """Lets the thread's default GLib context turn its qhttp loop; returns the source's number, for GLib.source_remove."""
    loop = qhttp.loop()

    def turn(*_):
        try:
            loop.dispatch()
        except Exception:               # out of a slot
            sys.excepthook(*sys.exc_info())
        return GLib.SOURCE_CONTINUE

    return GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, loop.fileno(), GLib.IOCondition.IN, turn)


def main(urls):
    source, main_loop, left = attach(), GLib.MainLoop(), set(urls)

    def start(url):
        parts = urlsplit(url)
        http = qhttp.QHttp(parts.hostname, parts.port or 80)

        def end(error):
            print(url, http.errorString() if error else len(http.readAll()))
            left.discard(url)
            if not left:
                main_loop.quit()

        http.done.connect(end)
        http.get(parts.path or "/")

    for url in sorted(left):
        start(url)
    if left:
        main_loop.run()
    GLib.source_remove(source)


if __name__ == "__main__":
    main(sys.argv[1:])

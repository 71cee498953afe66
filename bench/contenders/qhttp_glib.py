"""qhttp as in `qhttp_face`, in a GLib main loop: one source drives all lanes (see examples/loop_glib.py)."""

from __future__ import annotations

from bench.contenders.qhttp_face import Lanes
from bench.contenders.runner import Job, needed, run

needed("gi")

from gi.repository import GLib  # noqa: E402

from examples.loop_glib import attach  # noqa: E402  (needs GLib)


def requests(job: Job) -> int:
    """One request after the other on each connection."""
    main_loop = GLib.MainLoop()
    source = attach()
    lanes = Lanes(job, main_loop.quit)
    main_loop.run()
    GLib.source_remove(source)
    return lanes.n_right


if __name__ == "__main__":
    run(requests)

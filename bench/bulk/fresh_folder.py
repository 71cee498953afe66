"""A new folder in which ext4 makes files at full speed.

ext4 does not use the inode of a deleted file again for a minute, and up to six while its table is not yet on the disk. Who
makes many files where many were just deleted has the kernel step over each of those inodes for each new file: twenty
thousand make it ten times slower, for whoever happens to come next. So every run has a folder of its own far away from
the others: below a folder with the attribute `T` (`chattr +T`, "top of directory hierarchies") ext4 spreads the folders
over the disk. No file is deleted before the last run, only emptied. Where somebody else has deleted files before, a few new
ones tell by the time they take: the fastest of some folders is taken.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import tempfile
import time
from pathlib import Path

FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_TOPDIR_FL = 0x80086601, 0x40086602, 0x00020000
N_CANDIDATES = 5  # folders that are tried
N_PROBES = 8  # files made in each


class FreshFolders:
    """Below `parent`, for all runs of a workload; they go when the context ends, with all there is in them."""

    def __init__(self, parent: str) -> None:
        self._top = tempfile.TemporaryDirectory(prefix="bench-bulk-", dir=parent)
        self._probes = Path(self._top.name) / "probes"
        self._probes.mkdir()
        self._n_probes = 0
        self._is_spread = _spread_what_is_below(self._top.name)
        self._used: Path | None = None

    def __enter__(self) -> FreshFolders:
        return self

    def __exit__(self, *exception: object) -> None:
        self._top.cleanup()

    def _time_to_make_s(self, folder: Path) -> float:
        """The shortest of a few; the files stay, elsewhere: if they were deleted, they would do the harm they look for."""
        times_s = []
        for _ in range(N_PROBES):
            made, self._n_probes = folder / "probe", self._n_probes + 1
            start_s = time.perf_counter()
            os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            times_s.append(time.perf_counter() - start_s)
            made.rename(self._probes / str(self._n_probes))
        return min(times_s)

    def fresh(self) -> Path:
        """An empty folder for one run. Its files take room until right before the next: that one finds their memory warm."""
        n_candidates = N_CANDIDATES if self._is_spread else 1
        candidates = [Path(tempfile.mkdtemp(prefix="run-", dir=self._top.name)) for _ in range(n_candidates)]
        folder = min(candidates, key=self._time_to_make_s)
        self._empty(self._used)
        self._used = folder
        return folder

    def _empty(self, used: Path | None) -> None:
        if used and self._is_spread:
            for file in used.iterdir():
                os.truncate(file, 0)
        elif used:
            shutil.rmtree(used)


def _spread_what_is_below(folder: str) -> bool:
    """Set the attribute. False: the file system does not know it, and does not need it."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = struct.unpack("l", fcntl.ioctl(fd, FS_IOC_GETFLAGS, struct.pack("l", 0)))[0]
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("l", flags | FS_TOPDIR_FL))
    except OSError:
        return False
    finally:
        os.close(fd)
    return True

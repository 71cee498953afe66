"""What the long programs share: a list of the server's files, a run of the command on it, what lies in the folder then."""
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from support.file_server_process import FileServerProcess
from support.seeded_files import SeededFiles

ROOT = Path(__file__).resolve().parents[2]
N_IN_FOLDER = 1000          # files of one folder
SAMPLE_S = 0.1              # between two looks at a process's memory
LEAVE_S = 20.0              # until a process that was asked to end has to have done so
PART_ENDINGS = (".part", ".parts")


def out_of(number: int) -> str:
    """The name of a file below the folder."""
    return f"{number // N_IN_FOLDER:03d}/{number}"


def write_list(path: Path, server: FileServerProcess, files: SeededFiles, n_files: int, *, with_checksums: bool) -> None:
    """A list in JSON lines, in an order of its own."""
    order = list(range(n_files))
    random.Random(files.seed).shuffle(order)
    with open(path, "w") as file:
        for number in order:
            row = {"url": server.url(number), "out": out_of(number)}
            if with_checksums:
                row |= {"checksum": "sha256:" + files.sha256(number).hex(), "size": files.size(number)}
            file.write(json.dumps(row) + "\n")


@dataclass
class Ended:
    """A run that is over."""
    status: int                 # of its exit; negative: the signal
    wall_s: float
    cpu_s: float
    peak_kib: int               # most resident memory, as far as it was looked at
    was_hanging: bool = False   # it had to be killed in the end


class Run:
    """A process that is being run; stderr goes to a file."""

    def __init__(self, arguments: list[str], errors: Path):
        self._errors = open(errors, "ab")
        self.began = time.monotonic()
        self.peak_kib = 0
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen([sys.executable, *arguments], stdin=subprocess.DEVNULL, stdout=self._errors,
                                        stderr=self._errors, cwd=ROOT, env={**os.environ, "PYTHONPATH": path})

    def wait(self, seconds: float = float("inf")) -> bool:
        """Waits so long, or until it has ended; says whether it has."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            self._sample()
            if self._has_ended():
                return True
            time.sleep(min(SAMPLE_S if seconds > 10 else 0.005, max(0.0, limit - time.monotonic())))
        return self._has_ended()

    def signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if not self._has_ended():
            os.kill(self.process.pid, number)

    def end(self) -> Ended:
        """Waits for its end, which has to come within LEAVE_S."""
        was_hanging = not self.wait(LEAVE_S)
        if was_hanging:
            self.process.kill()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self._errors.close()
        return Ended(self.process.returncode, time.monotonic() - self.began, usage.ru_utime + usage.ru_stime, self.peak_kib,
                     was_hanging)

    def _has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _sample(self) -> None:
        try:
            with open(f"/proc/{self.process.pid}/status") as file:
                self.peak_kib = max([self.peak_kib, *(int(line.split()[1]) for line in file if line.startswith("VmHWM"))])
        except OSError:
            pass


@dataclass
class Folder:
    """What lies in a download folder: names below it, by kind."""
    whole: dict[int, os.stat_result] = field(default_factory=dict)      # final names of the list
    parts: dict[int, str] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)                    # neither

    @classmethod
    def look(cls, path: Path, n_files: int) -> "Folder":
        found = cls()
        for folder in os.scandir(path) if path.is_dir() else ():
            for entry in os.scandir(folder.path) if folder.is_dir() else [folder]:
                stem, ending = os.path.splitext(entry.name)
                number = int(stem) if stem.isdigit() else -1
                if not 0 <= number < n_files or out_of(number) + ending != os.path.relpath(entry.path, path):
                    found.strange.append(entry.path)
                elif not ending:
                    found.whole[number] = entry.stat()
                elif ending in PART_ENDINGS:
                    found.parts[number] = entry.path
                else:
                    found.strange.append(entry.path)
        return found


def versions_in(data: bytes, files: SeededFiles, number: int, n_versions: int, *, is_part: bool = False) -> list[int]:
    """The versions that a file is, or that it is the beginning of."""
    return [version for version in range(n_versions)
            if (len(data) <= files.size(number, version) if is_part else len(data) == files.size(number, version))
            and files.view(number, version, 0, len(data)) == data]


def read_log(path: Path) -> list[dict]:
    """The lines of a log, without those that a kill has cut: each is the beginning of one."""
    rows = []
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def bound(n_bad: int, n: int) -> str:
    """How a rate is told: for none of n with the upper bound of its 95 % interval, 3/n."""
    return f"{n_bad} of {n}" + (f" (below {3 / n:.2g} with 95 % confidence)" if not n_bad and n else "")


def tell(figures: dict) -> None:
    """Prints figures, one a line."""
    for name, value in figures.items():
        print(f"{name:28} {value:.2f}" if isinstance(value, float) else f"{name:28} {value}", flush=True)

"""Which calls can be made to fail, with which errors; builds what does it and steers it."""
import ctypes
import errno
import os
import pathlib
import subprocess
from dataclasses import dataclass

from support.sanitizers import IS_SANITIZED

SOURCE = pathlib.Path(__file__).with_name("failing.c")
FOR_EVER = -1
LONG = 10_000           # allocations: the interpreter itself goes round in circles where there is no memory for ever
FEW = 3                 # locks: SQLite itself waits ten seconds where one is refused again and again
EAI_AGAIN, EAI_MEMORY = -3, -10


@dataclass(frozen=True)
class Fault:
    """From the n-th call of a kind on, `n_failing` calls (FOR_EVER: all) fail with `error`."""
    kind: str
    error: int
    n_failing: int = 1

    def __str__(self):
        name = {EAI_AGAIN: "EAI_AGAIN", EAI_MEMORY: "EAI_MEMORY"}.get(self.error) or errno.errorcode[self.error]
        return f"{self.kind} {name}" + (" from there on" if self.n_failing != 1 else "")


# The order is that of failing.c. What is only an interruption, or nothing there yet, comes once; what stays may stay.
KINDS = {
    "allocate": ("ENOMEM", "ENOMEM*"),
    "receive": ("ECONNRESET", "EAGAIN", "EINTR", "ENOMEM*"),
    "send": ("EPIPE", "EAGAIN", "EINTR", "ENOBUFS*"),
    "read": ("EIO", "EINTR", "EIO*"),
    "write": ("ENOSPC", "EINTR", "EIO*"),
    "sync": ("EIO", "EIO*"),
    "open": ("EMFILE", "EACCES", "ENOSPC", "EMFILE*"),
    "name": ("EIO", "ENOSPC", "EACCES*"),
    "thread": ("EAGAIN", "EAGAIN*"),
    "socket": ("EMFILE", "EMFILE*"),
    "connect": ("ECONNREFUSED", "EADDRNOTAVAIL", "ENETUNREACH*"),
    "option": ("ENOMEM", "ENOMEM*"),
    "poll": ("EINTR", "ENOMEM"),
    "watch": ("ENOMEM", "ENOSPC*"),
    "descriptor": ("EMFILE", "EMFILE*"),
    "look-up": (EAI_AGAIN, EAI_MEMORY),
    "lock": ("EACCES", "ENOLCK", "EAGAIN*"),
    "stat": ("EIO", "ENOMEM*"),
    "reserve": ("ENOSPC", "EIO*"),
}
NUMBERS = {name: number for number, name in enumerate(KINDS, 1)}


def faults_of(kind: str) -> list[Fault]:
    stays = {"allocate": LONG, "lock": FEW}.get(kind, FOR_EVER)
    return [Fault(kind, error) if isinstance(error, int)
            else Fault(kind, getattr(errno, error.rstrip("*")), stays if error.endswith("*") else 1)
            for error in KINDS[kind]]


def build(folder) -> str:
    """Compiles failing.c into the folder; returns the path of the library."""
    library = os.path.join(folder, "failing.so")
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-O1", "-g", "-shared", "-fPIC", "-o", library, str(SOURCE), "-ldl"], check=True)
    return library


class Failing:
    """The library in this process, which must have been started with it."""

    def __init__(self):
        library = ctypes.CDLL(None)
        self._arm = library.torture_arm
        self._arm.argtypes, self._arm.restype = [ctypes.c_int, ctypes.c_long, ctypes.c_long, ctypes.c_int], None
        self._numbers = []
        for name in ("calls", "failed", "live"):
            function = getattr(library, f"torture_{name}")
            function.argtypes, function.restype = [], ctypes.c_long
            self._numbers.append(function)
        self.n_calls, self.n_failed, self.n_live = self._numbers
        self._where = library.torture_where
        self._where.argtypes, self._where.restype = [], ctypes.c_char_p

        if IS_SANITIZED:
            library.torture_stand_before_python()

    def arm(self, fault: Fault, n: int) -> None:
        self._arm(NUMBERS[fault.kind], n, fault.n_failing, fault.error)

    def where(self) -> str:
        """Who called for the first that failed: names of functions, as far as they are known."""
        return self._where().decode()

    disarm = staticmethod(os.getppid)       # see failing.c

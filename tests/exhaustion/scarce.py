"""Children that have little of something: descriptors, disk, threads, memory, ports; and interpreters with another C library.

A forked child (core.process_tools.in_child) takes its limits by the functions here. `apart` is for what needs an interpreter of
its own: one that has imported nothing yet, or whose C library's functions are those of preload.c.
"""
import ctypes
import os
import pickle
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
LIMIT_S = 60
HIGHEST = 1024          # descriptor that is looked for
NOBODY = 65534
NEW_NAMES, NEW_NET = 0x00020000, 0x40000000     # CLONE_NEWNS, CLONE_NEWNET
PRIVATE, RECURSIVE = 1 << 18, 1 << 14           # MS_PRIVATE, MS_REC
REMOUNT = 32                                    # MS_REMOUNT
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


class Unavailable(Exception):
    """This machine does not allow it; the text says what."""


def n_open() -> int:
    """Descriptors, also where there is none left to look with."""
    n = 0
    for fd in range(min(HIGHEST, resource.getrlimit(resource.RLIMIT_NOFILE)[0])):
        try:
            os.get_inheritable(fd)
            n += 1
        except OSError:
            continue
    return n


def few_descriptors(n: int) -> None:
    """From now on only n more can be open than are now."""
    highest = max(map(int, os.listdir("/proc/self/fd")))
    while os.open(os.devnull, os.O_RDONLY) < highest:       # those that are free in between do not count
        pass
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + n,) * 2)


def use_up() -> list[int]:
    """Takes every descriptor that there is; the caller gives them back."""
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return held


def give_back(held: list[int], n: int | None = None) -> None:
    for _ in range(len(held) if n is None else n):
        os.close(held.pop())


def _call(name: str, *arguments) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) < 0:
        raise Unavailable(f"{name}: {os.strerror(ctypes.get_errno())}")


def private_disk(folder, n_bytes: int) -> None:
    """The folder is a disk of that size, for this process and its children."""
    _call("unshare", NEW_NAMES)
    _call("mount", b"none", b"/", None, PRIVATE | RECURSIVE, None)
    _call("mount", b"none", os.fsencode(folder), b"tmpfs", 0, b"size=%d" % n_bytes)


def larger_disk(folder, n_bytes: int) -> None:
    _call("mount", b"none", os.fsencode(folder), b"tmpfs", REMOUNT, b"size=%d" % n_bytes)


def private_network(first_port: int, last_port: int) -> None:
    """Nothing but loopback, and no other ports to connect from."""
    import fcntl
    import socket
    import struct
    _call("unshare", NEW_NET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
        flags = struct.unpack("16sH22x", asked)[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | IFF_UP))
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as file:
        file.write(f"{first_port} {last_port}\n")


def as_nobody(n_tasks: int) -> None:
    """A user with so many tasks at most, of all processes together."""
    if os.geteuid() != 0:
        raise Unavailable("only root can become another user")
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    resource.setrlimit(resource.RLIMIT_NPROC, (n_tasks, n_tasks))


def little_memory(kind: int, n_bytes: int) -> None:
    """So much more than there is now. kind: RLIMIT_AS or RLIMIT_DATA."""
    name = "VmSize" if kind == resource.RLIMIT_AS else "VmData"
    with open("/proc/self/status") as file:
        now = next(int(line.split()[1]) << 10 for line in file if line.startswith(name))
    resource.setrlimit(kind, (now + n_bytes,) * 2)


# -- interpreters of their own
def environment(preload=None, **values: str) -> dict[str, str]:
    paths = [str(ROOT), str(TESTS), os.environ.get("PYTHONPATH", "")]
    there = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **values}
    return {**there, "LD_PRELOAD": str(preload)} if preload is not None else there


def apart(work: str, *arguments, preload=None, **values: str):
    """Calls "module:function" in a fresh interpreter; what it returns. `values`: of the environment, for preload.c."""
    done = subprocess.run([sys.executable, "-m", "exhaustion.scarce"], input=pickle.dumps((work, arguments)), cwd=ROOT,
                          capture_output=True, timeout=LIMIT_S, env=environment(preload, **values))
    if done.returncode:
        raise AssertionError(f"exit {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return pickle.loads(done.stdout)


@dataclass
class Ran:
    """What a call of the command came to."""
    status: int
    out: str
    err: str


def command(*words, limits=None, preload=None, streams=None, **values):
    """Runs `qhttp` in a process of its own. `limits` is called in it before; `streams`: stdin, stdout, stderr, where they are
    others than nothing and pipes."""
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **(streams or {})}
    done = subprocess.run([sys.executable, "-m", "qhttp", *map(str, words)], cwd=ROOT, text=True, timeout=LIMIT_S,
                          preexec_fn=limits, env=environment(preload, **values), **given)
    return Ran(done.returncode, done.stdout or "", done.stderr or "")


def main() -> None:
    import importlib
    work, arguments = pickle.load(sys.stdin.buffer)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    module, _, name = work.partition(":")
    answer = getattr(importlib.import_module(module), name)(*arguments)
    answers.write(pickle.dumps(answer))
    answers.flush()


if __name__ == "__main__":
    main()

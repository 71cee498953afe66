"""Move this process into a network namespace of its own, with reno, before anything is measured.

Where the kernel's congestion control is BBR, loopback is paced and its rates jump threefold from
run to run. That setting belongs to a network namespace, so root can have a quiet one without
touching the machine: only loopback exists in it, and it vanishes with its last process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

CONGESTION_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")
MARK = "BENCH_PRIVATE_NETWORK"  # set for the process that is already inside

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def congestion_control() -> str:
    """Name of the algorithm new connections use here."""
    try:
        return CONGESTION_CONTROL.read_text().strip()
    except OSError:
        return "unknown"


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", b"lo", 0)
        answer = fcntl.ioctl(any_socket, SIOCGIFFLAGS, request)
        flags = struct.unpack("16sH22x", answer)[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | IFF_UP))


def enter_where_needed(command: list[str]) -> str:
    """Run `command` again inside a private namespace when the congestion control here is BBR and root can.

    Returns one sentence about the network for the output; does not return where it starts again.
    """
    if os.environ.pop(MARK, None):
        _bring_loopback_up()
        CONGESTION_CONTROL.write_text("reno")
        return "private network namespace, congestion control reno"
    here = congestion_control()
    if here != "bbr":
        return f"loopback of this machine, congestion control {here}"
    unshare = shutil.which("unshare")
    if os.geteuid() == 0 and unshare and _may_unshare(unshare):
        sys.stdout.flush()
        sys.stderr.flush()
        os.environ[MARK] = "1"
        os.execv(unshare, [unshare, "--net", *command])
    return "loopback of this machine, congestion control bbr: rates jump, TRUST ONLY THE CPU TIME"


def _may_unshare(unshare: str) -> bool:
    """False in most containers, where root lacks the capability."""
    return subprocess.run([unshare, "--net", "true"], capture_output=True, check=False).returncode == 0

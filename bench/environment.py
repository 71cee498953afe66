"""Where and with what a comparison was made: a number without this cannot be compared with another one."""

from __future__ import annotations

import datetime
import importlib
import importlib.metadata
import os
import platform
import ssl
import subprocess
from pathlib import Path

from bench.nginx import find_nginx
from bench.private_network import congestion_control

PACKAGES = (
    "qhttp", "httptools", "pycurl", "urllib3", "requests", "httpx", "httpcore", "h11", "aiohttp", "uvloop", "pyreqwest",
    "primp", "curl_cffi",
)  # fmt: skip
ROOT = Path(__file__).parent.parent


def _package_version(name: str) -> str:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        if name == "urllib3" and importlib.import_module(name).__version__ != version:
            return f"{version} REPLACED BY ANOTHER PACKAGE"  # some packages put themselves in its place
        return version
    try:  # built in place and not installed
        return str(getattr(importlib.import_module(name), "__version__", "unknown version"))
    except ImportError:
        return "not installed"


def _first_line(*command: str) -> str:
    """What a program says about its version; some say it on stderr and with a bad status."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except OSError:
        return "not installed"
    return (done.stdout.splitlines() or [""])[0].strip()


def _cpu_model() -> str:
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def describe() -> dict[str, str]:
    """Names and values, all text."""
    versions = {name: _package_version(name) for name in PACKAGES}
    commit = _first_line("git", "-C", str(ROOT), "describe", "--always", "--dirty")
    if commit and " " not in commit:  # else it is no checkout, or there is no git
        versions["qhttp"] += f" ({commit})"
    if versions["pycurl"] != "not installed":
        versions["libcurl"] = str(importlib.import_module("pycurl").version)
    nginx = find_nginx()
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": f"{_cpu_model()}, {os.cpu_count()} CPUs",
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "kernel": platform.release(),
        "congestion control": congestion_control(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **versions,
        "ssl": ssl.OPENSSL_VERSION,
        "openssl": _first_line("openssl", "version"),
        "nginx": _first_line(nginx, "-v") if nginx else "not installed",
        "curl": _first_line("curl", "-q", "--version"),
        "aria2c": _first_line("aria2c", "--version"),
        "wget2": _first_line("wget2", "--version"),
        "wrk": _first_line("wrk", "-v"),
        "compiler": _first_line(*os.environ.get("CC", "cc").split(), "--version"),
    }

"""Run an nginx of our own: loopback, a free port, its files in a temporary folder, ended by its pid.

It runs in the foreground as a child of this process and is told by the kernel when its parent
dies, so that it cannot be left behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a test loads this file alone
    from bench.certificate import Certificate

START_TIMEOUT_S = 10.0
PR_SET_PDEATHSIG = 1

CONFIG = """\
{user}
daemon off;
worker_processes 1;
{affinity}
pid {prefix}/nginx.pid;
error_log {prefix}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    default_type application/octet-stream;
    open_file_cache {open_files};
    client_body_temp_path {prefix}/client_body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    server {{
        listen 127.0.0.1:{port} {ssl} backlog=4096;
{tls}
{locations}
    }}
}}
"""

# One version and one cipher, the one two OpenSSLs agree on by themselves: all clients decrypt the same.
TLS = """\
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
        ssl_certificate {path};
        ssl_certificate_key {key_path};
"""


def find_nginx() -> str | None:
    """The binary, also where /usr/sbin is not in the PATH of an ordinary user."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which("nginx", path=os.pathsep.join([path, "/usr/sbin", "/usr/local/sbin"]))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _config(
    prefix: Path, port: int, locations: Mapping[str, str], cpu: int | None, certificate: Certificate | None, n_open_files: int
) -> str:
    return CONFIG.format(
        # a root master would give its worker to a user who cannot read our temporary folders
        user="user root;" if os.geteuid() == 0 else "",
        affinity="" if cpu is None else f"worker_cpu_affinity {1 << cpu:b};",
        prefix=prefix,
        port=port,
        open_files=f"max={n_open_files}" if n_open_files else "off",
        ssl="ssl" if certificate else "",
        tls=TLS.format(path=certificate.path, key_path=certificate.key_path) if certificate else "",
        locations="\n".join(
            f'        location {url} {{ alias "{folder}/"; }}' for url, folder in locations.items()
        ),
    )


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    said = log.read_text(errors="replace") if log.exists() else ""
    raise RuntimeError(f"nginx did not start: {said.strip() or 'no word in its log'}")


@contextlib.contextmanager
def nginx(
    locations: Mapping[str, str],
    cpu: int | None = None,
    certificate: Certificate | None = None,
    n_open_files: int = 20000,
) -> Iterator[int]:
    """Serve folders: `{"/tree/": "/some/folder"}`; URL prefixes end with a slash. With a certificate over TLS 1.3. So many
    files are kept open, which needs as many descriptors. Gives the port."""
    binary = find_nginx()
    if binary is None:
        raise FileNotFoundError("nginx is not installed")
    libc = ctypes.CDLL(None)

    def end_with_parent() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    with tempfile.TemporaryDirectory(prefix="bench-nginx-") as folder:
        prefix, port = Path(folder), _free_port()
        (prefix / "nginx.conf").write_text(_config(prefix, port, locations, cpu, certificate, n_open_files))
        process = subprocess.Popen(
            [binary, "-p", folder, "-c", prefix / "nginx.conf", "-e", prefix / "error.log"],
            stdin=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
            start_new_session=True,  # a Ctrl-C is for us; we end it in order
        )
        try:
            _wait_until_listening(process, port, prefix / "error.log")
            yield port
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

"""A certificate of our own for 127.0.0.1, signed by itself: the file is also what the clients trust.

No CA certificate, else rustls would not take it for a server's; an elliptic curve, so that the handshake costs nothing
beside a big body.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

EXTENSIONS = (
    "subjectAltName=IP:127.0.0.1",
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature",
    "extendedKeyUsage=serverAuth",
)


@dataclass(frozen=True)
class Certificate:
    """Two PEM files."""

    path: Path
    key_path: Path


def find_openssl() -> str | None:
    """The program."""
    return shutil.which("openssl")


def make_certificate(folder: Path) -> Certificate:
    """Write both files into `folder`."""
    binary = find_openssl()
    if binary is None:
        raise FileNotFoundError("openssl is not installed")
    made, config = Certificate(folder / "cert.pem", folder / "key.pem"), folder / "openssl.cnf"
    config.write_text("[req]\ndistinguished_name = name\n[name]\n")  # the system's would add extensions of its own
    subprocess.run(
        [
            binary, "req", "-x509", "-config", config, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=qhttp bench", "-keyout", made.key_path, "-out", made.path,
            *(word for extension in EXTENSIONS for word in ("-addext", extension)),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return made

"""A self-signed certificate for localhost and 127.0.0.1, made at run time by the openssl command."""
import os
import subprocess

N_DAYS = 2


def make_certificate(folder) -> str:
    """Writes certificate and key into one PEM file in the folder; returns its path."""
    key, pem = os.path.join(folder, "key.pem"), os.path.join(folder, "server.pem")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", str(N_DAYS), "-subj", "/CN=localhost", "-addext", names, "-keyout", key, "-out", pem],
                   check=True, capture_output=True)
    with open(pem, "a") as out, open(key) as source:
        out.write(source.read())
    return pem

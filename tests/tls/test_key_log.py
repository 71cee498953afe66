"""SSLKEYLOGFILE: what decrypts a connection is written there by every context that is made here, as ssl's own does it."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tls.peers import answers

from qhttp.engine import tls_context

WORDS = {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0"}
PROGRAM = """
import sys, qhttp
http = qhttp.QHttp("127.0.0.1", qhttp.QHttp.ConnectionModeHttps, int(sys.argv[1]))
http.sslErrors.connect(lambda errors: http.ignoreSslErrors())
http.get("/")
sys.exit(not http.waitForDone(5000) or http.error() != http.NoError)
"""


@pytest.fixture
def key_log(tmp_path, monkeypatch):
    """What was logged: the first word of each line."""
    path = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    return lambda: [line.split()[0] for line in path.read_text().splitlines() if not line.startswith("#")]


def test_tls_keys_of_a_verified_connection_are_logged(certificates, scripted_server, default_client, key_log):
    server = scripted_server(beyond=answers(certificates.server(), b"ok"))
    assert default_client(server).get() == ("NoError", b"ok")
    assert set(key_log()) >= WORDS and len(set(key_log())) == len(key_log())        # once each


def test_tls_keys_of_an_unverified_connection_are_logged(certificates, scripted_server, client, key_log):
    server = scripted_server(beyond=answers(certificates.server("expired"), b"ok"))
    context = certificates.client()
    context.keylog_filename = None
    assert client(server, context=context).ignores().get() == ("NoError", b"ok")
    assert set(key_log()) >= WORDS and context.keylog_filename is None


def test_tls_keys_of_a_context_of_truststore_are_logged(key_log, monkeypatch, tmp_path):
    pytest.importorskip("truststore")
    paths = tls_context.ssl.DefaultVerifyPaths(None, None, *["none"] * 4)
    monkeypatch.setattr(tls_context.ssl, "get_default_verify_paths", lambda: paths)
    context = tls_context.default_context()
    assert type(context).__module__.startswith("truststore") and context.keylog_filename == str(tmp_path / "keys")


def test_tls_keys_of_a_context_of_the_command_are_logged(certificates, key_log, tmp_path):
    from argparse import Namespace

    from qhttp.cli.identity import tls_context_of
    arguments = Namespace(cacert=str(certificates.authority_path), cert=None, key=None, insecure=False)
    assert tls_context_of(arguments).keylog_filename == str(tmp_path / "keys")


def test_tls_keys_that_cannot_be_logged_are_an_error(certificates, scripted_server, client, monkeypatch, tmp_path):
    server = scripted_server(beyond=answers(certificates.server("expired"), b"ok"))
    context = certificates.client()
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "none" / "keys"))
    one = client(server, context=context).ignores()
    assert one.get() == ("UnknownError", b"") and "No such file" in one.http.errorString()


@pytest.mark.parametrize(("options", "logs"), [([], True), (["-E"], False)], ids=["as ever", "-E"])
def test_tls_keys_are_not_logged_where_the_environment_is_ignored(certificates, scripted_server, tmp_path, options, logs):
    server, path = scripted_server(beyond=answers(certificates.server("self_signed"), b"ok")), tmp_path / "keys"
    code = f"import sys\nsys.path.insert(0, {str(Path(tls_context.__file__).parents[2])!r})\n{PROGRAM}"     # -E: no PYTHONPATH
    done = subprocess.run([sys.executable, *options, "-c", code, str(server.port)], check=False, timeout=20,
                          env={**os.environ, "SSLKEYLOGFILE": str(path)})
    assert done.returncode == 0 and path.exists() == logs
    assert not logs or "CLIENT_TRAFFIC_SECRET_0" in path.read_text()

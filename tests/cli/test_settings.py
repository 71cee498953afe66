"""From options to what the downloader is told."""
import os
import ssl

import pytest

from qhttp.bulk.settings import Settings
from qhttp.cli import identity
from qhttp.cli.arguments import UsageError, parsed
from qhttp.cli.options import OPTIONS

URL, OTHER = "http://example.org/a", "http://example.org/b"
SESSION = os.path.join(".", ".qhttp-session")


def settings_of(*words):
    return parsed([URL, *words]).settings


@pytest.mark.parametrize("words, expected", [
    ([], {}),
    (["-d", "data"], {"dir": "data", "session": "data/.qhttp-session"}),
    (["-j", "3"], {"jobs": 3}), (["-j3"], {"jobs": 3}), (["--jobs=3"], {"jobs": 3}),
    (["--per-host", "2"], {"per_host": 2}), (["--split", "4"], {"split": 4}), (["--pipelining", "8"], {"pipelining": 8}),
    (["--min-split-size", "1M"], {"min_split_size": 1 << 20}), (["--window", "5"], {"window": 5}),
    (["--limit-rate", "500k"], {"limit_rate": 512000}), (["--host-limit-rate", "2M"], {"host_limit_rate": 2 << 20}),
    (["--host-rate", "300/m"], {"host_rate": 5.0}),
    (["--min-speed", "1k/30s"], {"min_speed": (1024, 30.0)}), (["--min-speed", "0"], {"min_speed": (0, 60.0)}),
    (["--connect-timeout", "2.5"], {"connect_timeout": 2.5}), (["--idle-timeout", "0"], {"idle_timeout": 0.0}),
    (["--max-time", "9"], {"max_time": 9.0}),
    (["--retries", "0"], {"retries": 0}), (["--retry-max-time", "60"], {"retry_max_time": 60.0}),
    (["--max-size", "1G"], {"max_size": 1 << 30}), (["--max-redirects", "0"], {"max_redirects": 0}),
    (["--overwrite"], {"existing": "overwrite"}), (["--skip-existing"], {"existing": "skip"}),
    (["--content-disposition"], {"content_disposition": True}), (["--compressed"], {"compressed": True}),
    (["--no-decode"], {"decode": False}), (["--fsync"], {"fsync": True}), (["--fail-fast"], {"fail_fast": True}),
    (["--netrc"], {"netrc": True}), (["--netrc-file", __file__], {"netrc": __file__}),
    (["--cookies"], {"cookies": True}), (["--cookie-file", __file__], {"cookies": __file__}),
    (["--proxy", "http://p:1"], {"proxy": "http://p:1"}), (["--no-proxy"], {"proxy": None}),
    (["--ipv4"], {"family": 4}), (["--ipv6"], {"family": 6}),
    (["-H", "A: 1", "--header", "B:2 "], {"headers": (("A", "1"), ("B", "2"))}),
    (["--hash", "sha-256,md5", "--hash", "sha256"], {"hashes": ("sha256", "md5")}),
    (["--log-json", "l"], {"timings": True}), (["--json-timings"], {"timings": True}),
    (["-o", "f"], {"name": "f"}), (["-d", "data", "--output", "sub/f"], {"dir": "data/sub", "name": "f",
                                                                       "session": "data/sub/.qhttp-session"}),
    (["-d", "data", "-o", "/abs/f"], {"dir": "/abs", "name": "f", "session": "/abs/.qhttp-session"}),
    (["--session", "s"], {"session": "s"}), (["--dry-run"], {"dry_run": True}),
], ids=lambda value: " ".join(value).replace("/", "|")[-40:] if isinstance(value, list) else None)
def test_parsed_option_is_this_setting(words, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = settings_of(*words)
    here = {"dir": "."} if "-o" in words and "-d" not in words else {}
    assert found == {"session": SESSION, **here, **expected}
    Settings(**found)                   # the downloader takes it


@pytest.mark.parametrize("words, expected", [
    (["--no-session"], {}), (["--no-resume"], {"resume": False}),
    (["--head"], {"method": "HEAD", "into": "bytes", "resume": False}),
    (["--no-resume", "--session", "s"], {"resume": False, "session": "s"}),
])
def test_parsed_option_without_resuming_has_no_session(words, expected):
    assert settings_of(*words) == expected


def test_parsed_settings_are_those_of_the_downloader():
    known = set(Settings.__slots__)
    assert {option.setting for option in OPTIONS if option.setting} <= known


@pytest.mark.parametrize("words, urls", [
    ([URL, OTHER], [URL, OTHER]), (["-v", URL, "-j", "4", OTHER], [URL, OTHER]),
    (["--", URL], [URL]), ([URL, "--", OTHER], [URL, OTHER]), (["HTTP://example.org"], ["HTTP://example.org"]),
])
def test_parsed_urls_may_stand_anywhere(words, urls):
    assert parsed(words).urls == urls


def test_parsed_word_behind_two_dashes_is_a_url():
    with pytest.raises(UsageError, match="is no URL"):
        parsed(["--", "-v"])


def test_parsed_header_file_has_a_field_each_line(tmp_path):
    path = tmp_path / "fields"
    path.write_bytes(b"Authorization: Bearer x\n\nX-Name: J\xf6rg\n")
    assert settings_of("-H", f"@{path}")["headers"] == (("Authorization", "Bearer x"), ("X-Name", "J\xf6rg"))


def test_parsed_header_file_is_cut_at_line_ends_alone(tmp_path):
    path = tmp_path / "fields"
    path.write_bytes("A: x\u00c5y; z\r\nB: \v1\f2\x1c3\x1e4\r\n\r\nC: 5".encode())
    assert settings_of("-H", f"@{path}")["headers"] == (("A", "x\xc3\x85y; z"), ("B", "\v1\f2\x1c3\x1e4"), ("C", "5"))


def test_parsed_header_file_that_is_too_large_is_refused(tmp_path):
    path = tmp_path / "fields"
    path.write_bytes(b"A: 1\n" * 100_000)
    with pytest.raises(UsageError, match="larger than 256k"):
        settings_of("-H", f"@{path}")


# -- who we are
@pytest.mark.parametrize("given, user", [
    ("joe:x", ("joe", "x")), ("joe:", ("joe", "")), (":x", ("", "x")), ("joe:a:b", ("joe", "a:b")),
])
def test_user_with_a_password_is_taken(command, given, user):
    assert command(URL, "--user", given).settings["user"] == user


def test_user_without_a_password_is_asked_for_it(monkeypatch):
    import getpass
    asked = []
    monkeypatch.setattr(identity, "TERMINAL", os.devnull)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or "secret")
    assert identity.user_of("joe") == ("joe", "secret")
    assert asked == ["Password for joe: "]


def test_user_without_a_password_and_a_terminal_is_wrong_usage(command, monkeypatch):
    monkeypatch.setattr(identity, "TERMINAL", "/no/such/terminal")
    ran = command(URL, "--user", "joe")
    assert ran.status == 2 and "--netrc-file" in ran.err


def test_context_without_options_is_the_usual_one(command):
    assert "context" not in command(URL).settings


def test_context_insecure_verifies_nothing(command):
    context = command(URL, "--insecure").settings["context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_context_with_certificates_trusts_only_these(command, tmp_path):
    import trustme
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    context = command(URL, "--cacert", "ca.pem", "--cert", "client.pem").settings["context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1

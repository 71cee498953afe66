"""Wrong usage: exit status 2, one line that says what to do, and nothing is begun."""
import pytest

from qhttp.cli.foreign import HINTS
from qhttp.cli.options import OPTIONS

URL, OTHER = "http://example.org/a", "http://example.org/b"


@pytest.mark.parametrize("words, said", [
    ([], "nothing to fetch"),
    (["example.org/a"], "did you mean https://example.org/a"),
    (["a"], "is it the value of an option?"),
    (["ftp://example.org/a"], "only http and https"),
    (["http:///a"], "has no host"),
    (["http://joe:x@example.org/a"], "put it into --user or netrc"),
    (["http://exa mple.org/a"], "blank"), (["http://1.2.3/"], "four decimal numbers"), (["http://x:99999/"], "port"),
    (["-"], "-i -"),
    ([URL, OTHER, "-o", "x"], "--out is for one file"),
    ([URL, OTHER, "--checksum", "md5:" + "0" * 32], "--checksum is for one file"),
    ([URL, "--mirrors"], "--mirrors needs two URLs or more"),
    ([URL, "-o", "-"], "give a name"),
    ([URL, "-o", "."], "is a folder"),
    ([URL, "-o", "new/"], "is a folder"),
    ([URL, "--overwrite", "--skip-existing"], "--overwrite and --skip-existing do not go together"),
    ([URL, "--session", "s", "--no-session"], "--session and --no-session"),
    ([URL, "-4"], "use --ipv4"),
    ([URL, "-q", "-v"], "--quiet and --verbose"),
    ([URL, "--key", __file__], "give that with --cert"),
    ([URL, "-i", "no-such-list.txt"], "no-such-list.txt cannot be read"),
    ([URL, "-i", "."], "-i .:"),
    ([URL, "-o", "x", "-i", __file__], "--input-file and --out"),
    ([URL, "--cacert", "no-such.pem"], "--cacert: no-such.pem cannot be read"),
    ([URL, "--cacert", __file__], "no certificates"),
    ([URL, "--cert", __file__], "cannot be used"),
    ([URL, "--jobs"], "--jobs needs a N behind it"),
    ([URL, "--jobs", "-v"], "--jobs needs a N behind it"),
    ([URL, "--head=3"], "--head takes no value"),
    ([URL, "--dir", ""], "--dir: there is nothing behind it"),
    ([URL, "--no-such-thing"], "there is no option --no-such-thing"),
    ([URL, "--retry-maxtime=3"], "did you mean --retry-max-time?"),
    ([URL, "-z"], "there is no option -z"),
    ([URL, "-kL"], "use --insecure"),
    ([URL, "--progress", "fancy"], "--progress: must be one of auto, rich, plain, json, none"),
    ([URL, "--completion", "tcsh"], "must be one of bash, zsh, fish"),
    ([URL, "-H", "nothing"], "'Name: value'"),
    ([URL, "-H", "@no-such-file"], "no-such-file cannot be read"),
    ([URL, "--checksum", "crc:12"], "--checksum: unknown checksum algorithm"),
    ([URL, "--hash", "sha256,crc"], "--hash: unknown checksum algorithm"),
], ids=lambda value: " ".join(value).replace("/", "|")[-40:] if isinstance(value, list) else None)
def test_main_wrong_usage_is_said_in_one_line(command, words, said):
    ran = command(*words)
    assert ran.status == 2
    assert ran.out == "" and ran.err.startswith("qhttp: ") and ran.err.count("\n") == 1
    assert said in ran.err
    assert ran.downloader is None


@pytest.mark.parametrize("flag, value", [
    ("-j", "0"), ("-j", "x"), ("-j", "-1"), ("-j", "1.5"), ("-j", "9" * 30), ("-j", "\u0663"), ("--per-host", "0"),
    ("--split", "65"),
    ("--pipelining", "65"), ("--retries", "-1"), ("--window", "0"), ("--max-redirects", "many"),
    ("--connect-timeout", "-1"), ("--connect-timeout", "nan"), ("--max-time", "inf"), ("--idle-timeout", "5 minutes"),
    ("--limit-rate", "fast"), ("--host-limit-rate", "1x"), ("--min-split-size", "-5"), ("--max-size", "1.2.3"),
    ("--host-rate", "5/y"), ("--min-speed", "1k/"), ("--progress-interval", "0.01"), ("--retry-max-time", ""),
])
def test_main_bad_number_names_the_option(command, flag, value):
    ran = command(URL, flag, value)
    assert ran.status == 2 and ran.downloader is None
    assert "-" + flag.lstrip("-")[:3] in ran.err


def test_main_setting_that_the_downloader_refuses_is_wrong_usage(command):
    def refuse(downloader):
        raise ValueError("proxy must be the URL of a proxy that is known here")

    ran = command(URL, "--proxy", "gopher://x", before=refuse)
    assert (ran.status, ran.err) == (2, "qhttp: proxy must be the URL of a proxy that is known here\n")


@pytest.mark.parametrize("words", [
    ["http:/joe:secret@example.org/?token=secret", URL], ["joe:secret@example.org/a?secret"], ["ftp://joe:secret@example.org/?secret"],
    [URL, "-H", "X-Token secret"], ["http://joe:secret@/?secret"], ["http://joe:secret@example.org/?secret"],
    [URL, "--pass=secret"], [URL, "-ujoe:secret"], [URL, "-bname:secret"], [URL, "-xjoe:secret@proxy"], [URL, "-Asecret"],
])
def test_main_wrong_usage_shows_nothing_secret(command, words):
    ran = command(*words)
    assert ran.status == 2 and "secret" not in ran.err


@pytest.mark.parametrize("flag", sorted(HINTS))
def test_hints_are_for_what_is_no_option_here_and_name_what_is(flag):
    flags = {flag for option in OPTIONS for flag in option.flags}
    assert flag not in flags
    named = [word.strip(";,()") for word in HINTS[flag].split() if word.startswith("-")]
    assert {word for word in named if word.startswith("--") or word in ("-o", "-d", "-j", "-H", "-q")} <= flags

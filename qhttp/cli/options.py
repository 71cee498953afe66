"""The options of the command: one table, from which the parser, both helps, the man page and the completions are made."""
from __future__ import annotations

from qhttp.bulk.manifest import FORMATS
from qhttp.bulk.settings import COUNTS, DEFAULTS
from qhttp.cli import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DISPLAYS = ("auto", "rich", "plain", "json", "none")
SHELLS = ("bash", "zsh", "fish")


class Option:
    """One option of the command.

    flags: its spellings, the main one last. metavar: of what stands behind it, None for a switch. value: the check and
    conversion of that, raising ValueError. setting: of the downloader, if it is one; const: what a switch sets it to.
    is_common: --help shows it. help: half a sentence; more: for the man page. complete: "file", "folder", or the words that may
    stand behind it.
    """

    __slots__ = ("complete", "const", "flags", "help", "is_common", "metavar", "more", "repeats", "setting", "value")

    flags: tuple[str, ...]
    help: str
    metavar: str | None
    value: Callable[[str], Any]
    setting: str | None
    const: Any
    is_common: bool
    repeats: bool
    more: str
    complete: str | tuple[str, ...]

    def __init__(self, *flags: str, help: str, metavar: str | None = None, value: Callable[[str], Any] = str,
                 setting: str | None = None, const: Any = True, is_common: bool = False, repeats: bool = False,
                 more: str = "", complete: str | tuple[str, ...] = ()):
        self.flags, self.help, self.metavar, self.value = flags, help, metavar, value
        self.setting, self.const, self.is_common = setting, const, is_common
        self.repeats, self.more, self.complete = repeats, more, complete

    @property
    def dest(self) -> str:
        """Its name among the parsed arguments."""
        return self.flags[-1].removeprefix("--").replace("-", "_")

    @property
    def default(self) -> str:
        """The default as the helps show it, "" for none worth showing."""
        default = DEFAULTS.get(self.setting or "") if self.metavar else None
        if isinstance(default, bool) or not isinstance(default, (int, float)) or not default:
            return ""
        return values.shown_size(default) if self.value is values.size else f"{default:g}"


def _number(setting: str) -> Callable[[str], int]:
    return values.whole(1 if setting in COUNTS else 0, COUNTS.get(setting, values.LARGEST))


GROUPS: tuple[tuple[str, tuple[Option, ...]], ...] = (
    ("What, and where to", (
        Option("-i", "--input-file", metavar="LIST", repeats=True, is_common=True, complete="file",
               help="URLs and more from LIST, by its suffix; - is stdin",
               more="Text and aria2 input files, .meta4, .jsonl, .csv and .parquet (with pyarrow) are read, as their suffix "
                    "says. May be given several times. A line that cannot be read is told of with its number and left out."),
        Option("--format", "--input-format", metavar="FORMAT", complete=FORMATS,
               help=f"of the lists, stdin above all: {', '.join(FORMATS)}"),
        Option("-d", "--dir", metavar="DIR", setting="dir", is_common=True, complete="folder",
               help="folder for the files [.]", more="It is made where it is missing."),
        Option("-o", "--output", "--out", metavar="FILE", is_common=True, complete="file",
               help="the file's name, of one URL",
               more="A relative one lies in the folder of --dir. Otherwise names come from the URLs."),
        Option("--mirrors", is_common=True, help="the URLs are mirrors of one file"),
        Option("--checksum", metavar="KIND:HEX", value=values.checksum, repeats=True, is_common=True,
               help="verify the file: sha256:2c26b4...",
               more="For one file; lists have checksums of their own. A file that does not fit never gets its final name."),
        Option("--overwrite", setting="existing", const="overwrite", is_common=True, help="replace files that are there"),
        Option("--skip-existing", setting="existing", const="skip", is_common=True, help="take files that are there as done",
               more="Without these two a file that is there, and that the session does not know as done, is an error."),
        Option("--no-resume", setting="resume", const=False, help="start anew: keep no session, continue no parts"),
        Option("--content-disposition", setting="content_disposition", help="take file names from the answers"),
        Option("--session", metavar="FILE", complete="file", help="remember what is done in FILE [DIR/.qhttp-session]",
               more="The session knows finished files and the versions of parts, so that the same command does only what is "
                    "left. For URLs of the command line the default one is removed when all is done; for lists it stays."),
        Option("--no-session", help="remember nothing"),
        Option("--save-session", metavar="FILE", is_common=True, complete="file",
               help="write what is left to FILE, as an aria2 input file",
               more="At the end, also after Ctrl-C: what failed, was broken off or not begun. FILE may be the list that was "
                    "read, if all of that can be read. It is empty when all is done."),
    )),
    ("How many, how fast", (
        Option("-j", "--jobs", metavar="N", value=_number("jobs"), setting="jobs", is_common=True, help="transfers at a time"),
        Option("--per-host", metavar="N", value=_number("per_host"), setting="per_host", is_common=True,
               help="of them to one host"),
        Option("--split", metavar="N", value=_number("split"), setting="split", is_common=True,
               help="connections for one large file"),
        Option("--min-split-size", metavar="SIZE", value=values.size, setting="min_split_size", help="least size of a piece"),
        Option("--limit-rate", metavar="SIZE", value=values.size, setting="limit_rate", is_common=True,
               help="bytes a second, all together: 500k, 2M"),
        Option("--host-limit-rate", metavar="SIZE", value=values.size, setting="host_limit_rate",
               help="the same for each host"),
        Option("--host-rate", metavar="N/s", value=values.rate, setting="host_rate", is_common=True,
               help="requests to one host: 5/s, 100/m"),
        Option("--pipelining", metavar="N", value=_number("pipelining"), setting="pipelining",
               help="requests under way on one connection",
               more="More than 1 is faster where many small files come from one server that is known to cope with it."),
        Option("--window", metavar="N", value=_number("window"), setting="window", help="rows that are read ahead"),
        Option("--dask", metavar="ADDRESS", help="have the workers of a Dask cluster fetch: tcp://host:8786",
               more="They need qhttp, and DIR must lead each of them to the same place. Limits on hosts hold for all workers "
                    "together. What a dead worker had begun is done again by another."),
    )),
    ("Patience", (
        Option("--retries", metavar="N", value=_number("retries"), setting="retries", is_common=True, help="of one transfer",
               more="Broken connections, time-outs, 408, 429 and 5xx are tried again, after growing pauses or when the server "
                    "says."),
        Option("--retry-max-time", metavar="SEC", value=values.seconds, setting="retry_max_time",
               help="no further try after so long"),
        Option("--connect-timeout", metavar="SEC", value=values.seconds, setting="connect_timeout", is_common=True,
               help="until a connection is there"),
        Option("--idle-timeout", metavar="SEC", value=values.seconds, setting="idle_timeout", help="without a byte"),
        Option("--max-time", metavar="SEC", value=values.seconds, setting="max_time", is_common=True,
               help="of one transfer, all tries together"),
        Option("--min-speed", metavar="SPEED", value=values.speed, setting="min_speed", is_common=True,
               help="slower is too slow: 1k/30s [100/60s]; 0: never"),
        Option("--max-size", metavar="SIZE", value=values.size, setting="max_size", help="of one file"),
        Option("--max-redirects", metavar="N", value=_number("max_redirects"), setting="max_redirects",
               help="redirects followed"),
        Option("--fail-fast", setting="fail_fast", is_common=True, help="stop at the first failure",
               more="Also at the first line of a list that cannot be read."),
    )),
    ("The requests", (
        Option("-H", "--header", metavar="FIELD", value=values.header, repeats=True, is_common=True,
               help="send 'Name: value', too; @FILE: those of FILE",
               more="Secrets in arguments can be seen in the list of processes, those in a FILE cannot."),
        Option("--user", metavar="USER", is_common=True, help="USER[:PASSWORD] for servers that ask",
               more="The password is asked for at the terminal if it is left out. Do leave it out: other users of the machine "
                    "can read arguments in the list of processes. --netrc is another way."),
        Option("--netrc", setting="netrc", help="users and passwords from ~/.netrc"),
        Option("--netrc-file", metavar="FILE", setting="netrc", value=values.readable_file, complete="file",
               help="from this file"),
        Option("--cookies", setting="cookies", help="keep cookies and send them back"),
        Option("--cookie-file", metavar="FILE", setting="cookies", value=values.readable_file, complete="file",
               help="the same, beginning with those of a Netscape file"),
        Option("--proxy", metavar="URL", setting="proxy", is_common=True, help="http:// or socks5:// [from http_proxy etc.]"),
        Option("--no-proxy", setting="proxy", const=None, help="none, whatever the environment says"),
        Option("--compressed", setting="compressed", is_common=True, help="ask for compressed answers, and unpack them",
               more="They cannot be resumed."),
        Option("--no-decode", setting="decode", const=False, help="keep compressed what comes compressed"),
        Option("--head", help="fetch nothing; print status, size and URL"),
    )),
    ("TLS and addresses", (
        Option("--cacert", metavar="FILE", value=values.readable_file, complete="file", is_common=True,
               help="trust these certificates (PEM), and no others"),
        Option("--cert", metavar="FILE", value=values.readable_file, complete="file", help="the client's certificate (PEM)"),
        Option("--key", metavar="FILE", value=values.readable_file, complete="file", help="its key, where --cert has none"),
        Option("--insecure", is_common=True, help="do not verify servers",
               more="Whoever is in between can then read and change everything. --cacert is the better way."),
        Option("--ipv4", setting="family", const=4, help="IPv4 addresses only"),
        Option("--ipv6", setting="family", const=6, help="IPv6 addresses only"),
        Option("--public-only", setting="public_only", help="connect to public addresses only",
               more="For lists that others have written: no name, and no redirect, leads into a network of one's own, or to "
                    "this machine. It needs --no-proxy where the environment names one: a proxy looks names up itself."),
    )),
    ("Files", (
        Option("--fsync", setting="fsync", help="have each file on the disk before it is done"),
        Option("--hash", metavar="KIND", value=values.algorithms, setting="hashes", repeats=True,
               help="compute it of each file, for the log: sha256",
               more="Several, or separated by commas. The log has it, and so have the lines of -v."),
    )),
    ("What is told", (
        Option("--progress", metavar="HOW", complete=DISPLAYS, is_common=True, help=f"{', '.join(DISPLAYS)} [auto]",
               more="auto is a table on a terminal where rich is installed, otherwise a line there, and elsewhere a line now "
                    "and then. json is one JSON object a line on stderr."),
        Option("--progress-interval", metavar="SEC", value=values.interval,
               help="between two lines [1 for json, 10 off a terminal]"),
        Option("--log-json", metavar="FILE", is_common=True, complete="file",
               help="append a JSON line for each ended transfer"),
        Option("--json-timings", help="print these lines to stdout"),
        Option("-q", "--quiet", is_common=True, help="errors only"),
        Option("-v", "--verbose", is_common=True, help="a line for each transfer and retry"),
        Option("--dry-run", setting="dry_run", is_common=True, help="fetch nothing; print what would be, and where to"),
    )),
    ("Help", (
        Option("-h", "--help", help="the options that matter most"),
        Option("--help-all", help="all options"),
        Option("--completion", metavar="SHELL", complete=SHELLS, help=f"print a completion script: {', '.join(SHELLS)}"),
        Option("--version", help="print the version"),
    )),
)
OPTIONS = tuple(option for _, options in GROUPS for option in options)

"""A Dante: a SOCKS server, open or with a password, and names only it knows.

Dante asks the system who has which password. So that no system user has to be made, it gets a view of the file system of
its own (a mount namespace) in which /etc/passwd, /etc/shadow and /etc/hosts are ours: nothing outside changes, and all is
gone with the process. That takes root; an ordinary user has the open server only, without the names.
"""
import contextlib
import os
import subprocess

from world.programs import free_ports, missing, program, running, wait_until
from world.users import USER, crypt_word

KNOWN_NAME = "origin.test"
LOG_S = 5.0
USER_ID = 64_999

CONFIG = """\
logoutput: {folder}/dante.log
internal: 127.0.0.1 port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: {method}
user.privileged: {privileged}
user.unprivileged: {unprivileged}
client pass {{
    from: 127.0.0.0/8 to: 0.0.0.0/0
    log: error
}}
socks pass {{
    from: 127.0.0.0/8 to: 0.0.0.0/0
    command: connect
    log: connect error
}}
"""

WITH_OWN_FILES = 'for name in hosts passwd shadow; do mount --bind "$PWD/$name" "/etc/$name" || exit; done; exec "$@"'


def has_own_view() -> bool:
    """Whether a process can be given files of its own in /etc."""
    if os.geteuid() != 0:
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


class Dante:
    """Where it listens, and its log. `knows_names` tells whether it resolves KNOWN_NAME."""

    host = "127.0.0.1"

    def __init__(self, folder, with_password: bool):
        self.folder, self.with_password = folder, with_password
        self.port, = free_ports(1)
        self.knows_names = has_own_view()

    @contextlib.contextmanager
    def run(self):
        binary = program("danted")
        if self.with_password and not self.knows_names:
            missing("SOCKS with a password needs root and a mount namespace: Dante asks the system for users")
        own_view = ["unshare", "--mount", "sh", "-c", WITH_OWN_FILES, "sh"] if self.knows_names else []
        if self.knows_names:
            self._write_system_files()
        user = "nobody" if os.geteuid() == 0 else os.environ.get("USER") or str(os.geteuid())
        (self.folder / "dante.conf").write_text(CONFIG.format(
            folder=self.folder, port=self.port, method="username" if self.with_password else "none",
            privileged="root" if own_view else user, unprivileged=user))
        command = [*own_view, binary, "-f", self.folder / "dante.conf", "-p", self.folder / "dante.pid"]
        with running(command, [self.port], self.folder / "dante.log", as_root=bool(own_view)):
            yield self

    def wait_for_log(self, text: str) -> None:
        """Waits until the log has this text."""
        log = self.folder / "dante.log"
        wait_until(lambda: text in log.read_text(), LOG_S, lambda: f"{text} is not in {log}:\n{log.read_text()}")

    def _write_system_files(self):
        with open("/etc/passwd") as source:
            (self.folder / "passwd").write_text(f"{source.read()}{USER}:x:{USER_ID}:65534::/nonexistent:/usr/sbin/nologin\n")
        shadow = self.folder / "shadow"
        shadow.touch(mode=0o600)
        shadow.write_text(f"{USER}:{crypt_word('-6')}:19000:0:99999:7:::\n")
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost {KNOWN_NAME}\n")

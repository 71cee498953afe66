"""A Squid: a caching proxy with an open port and one that asks for a password, a forbidden site, and a name only it knows."""
import contextlib

from world.certificates import OTHER_NAME
from world.programs import JsonLog, free_ports, program, running
from world.users import USER, crypt_word, digest_line

HELPER_FOLDERS = "/usr/lib/squid", "/usr/lib64/squid", "/usr/libexec/squid"
REALM = "the squid realm"
KNOWN_NAME = "origin.test"          # resolved to loopback by this proxy, and by nobody else
FORBIDDEN_NAME = "forbidden.test"
NONCE_USES = 3                      # then Squid calls a Digest nonce stale

CONFIG = """\
http_port 127.0.0.1:{port[open]} name=open
http_port 127.0.0.1:{port[login]} name=login
pid_filename {folder}/squid.pid
cache_log {folder}/squid.log
coredump_dir {folder}
logformat json {{"method": "%rm", "uri": "%ru", "status": "%>Hs", "cache": "%Ss", "user": "%un", "to": "%<a", \
"authorization": "%#{{Authorization}}>h", "proxy_authorization": "%#{{Proxy-Authorization}}>h"}}
access_log stdio:{folder}/access.json logformat=json
cache_store_log none
cache_mem 64 MB
maximum_object_size_in_memory 32 MB
strip_query_terms off
hosts_file {folder}/hosts
visible_hostname squid.test
pinger_enable off
max_filedescriptors 1024
shutdown_lifetime 0 seconds
{auth}
acl login_port myportname login
acl known proxy_auth REQUIRED
acl forbidden dstdomain {forbidden}
http_access deny forbidden
http_access deny login_port !known
http_access allow all
"""

AUTH = {
    "basic": """\
auth_param basic program {helper} {folder}/users
auth_param basic realm {realm}
auth_param basic casesensitive on
auth_param basic children 1 startup=1""",
    "digest": """\
auth_param digest program {helper} -c {folder}/users
auth_param digest realm {realm}
auth_param digest nonce_max_count {uses}
auth_param digest children 1 startup=1""",
}
HELPERS = {"basic": "basic_ncsa_auth", "digest": "digest_file_auth"}


class Squid:
    """Where it listens (port["open"], port["login"]), and its log. `scheme` is what port["login"] asks for."""

    host = "127.0.0.1"

    def __init__(self, folder, scheme: str):
        self.folder, self.scheme = folder, scheme
        self.port = dict(zip(("open", "login"), free_ports(2), strict=True))
        self.log = JsonLog(folder / "access.json")

    @contextlib.contextmanager
    def run(self):
        binary, helper = program("squid"), program(HELPERS[self.scheme], *HELPER_FOLDERS)
        users = digest_line(REALM) if self.scheme == "digest" else f"{USER}:{crypt_word('-apr1')}\n"
        (self.folder / "users").write_text(users)
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost {KNOWN_NAME} {OTHER_NAME} {FORBIDDEN_NAME}\n")
        auth = AUTH[self.scheme].format(folder=self.folder, helper=helper, realm=REALM, uses=NONCE_USES)
        (self.folder / "squid.conf").write_text(
            CONFIG.format(folder=self.folder, port=self.port, auth=auth, forbidden=FORBIDDEN_NAME))
        # a name of its own: Squid finds its siblings by it, and there may be a system's Squid
        name = f"world{self.scheme}{self.port['open']}"
        with running([binary, "-N", "-n", name, "-f", self.folder / "squid.conf"], list(self.port.values()),
                     self.folder / "squid.log"):
            yield self

"""An Apache: Digest with long and short lived nonces, Basic, answers in HTTP/1.0, and an echo of what is posted."""
import contextlib
import http.client
import os

from support.faults import BODY

from world.programs import JsonLog, free_ports, make_folder, missing, program, running, wait_until
from world.users import digest_line, sha_line

MODULE_FOLDERS = "/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"
MODULES = ("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "auth_digest", "alias", "env",
           "setenvif", "reflector")
REALM = "the apache realm"
SHORT_S = 1                 # how long a nonce of /stale/ lives
STALE_S = 10.0              # by then it is dead

CONFIG = """\
ServerRoot "{folder}"
ServerName localhost
Listen 127.0.0.1:{port}
DefaultRuntimeDir "{folder}"
PidFile "{folder}/apache.pid"
ErrorLog "{folder}/apache.log"
Mutex "file:{folder}"
{modules}
StartServers 1
ServerLimit 2
ThreadsPerChild 8
MaxRequestWorkers 16
MinSpareThreads 1
MaxSpareThreads 16
LogFormat "{{\\"uri\\": \\"%U%q\\", \\"method\\": \\"%m\\", \\"status\\": \\"%>s\\", \
\\"authorization\\": \\"%{{Authorization}}i\\", \\"proxy_authorization\\": \\"%{{Proxy-Authorization}}i\\", \
\\"peer_port\\": \\"%{{remote}}p\\"}}" json
CustomLog "{folder}/access.json" json
DocumentRoot "{folder}/files"
<Directory "{folder}/files">
    Require all granted
</Directory>
Alias /plain/ "{folder}/files/"
Alias /basic/ "{folder}/files/"
Alias /digest/ "{folder}/files/"
Alias /stale/ "{folder}/files/"
Alias /old/ "{folder}/files/"
SetEnvIf Request_URI "^/old/" downgrade-1.0 force-response-1.0
<Location /echo>
    SetHandler reflector
    Require all granted
</Location>
<Location /basic/>
    AuthType Basic
    AuthName "{realm}"
    AuthBasicProvider file
    AuthUserFile "{folder}/users"
    Require valid-user
</Location>
<LocationMatch "^/(digest|stale)/">
    AuthType Digest
    AuthName "{realm}"
    AuthDigestProvider file
    AuthDigestAlgorithm MD5
    AuthDigestQop auth
    AuthUserFile "{folder}/digest_users"
    Require valid-user
</LocationMatch>
<Location /stale/>
    AuthDigestNonceLifetime {short_s}
</Location>
<Location /digest/echo>
    SetHandler reflector
</Location>
"""


class Apache:
    """Where it listens, and its log."""

    host = "127.0.0.1"

    def __init__(self, folder):
        self.folder = folder
        self.port, = free_ports(1)
        self.log = JsonLog(folder / "access.json")

    @contextlib.contextmanager
    def run(self):
        binary = program("apache2")
        modules = next(filter(os.path.isdir, MODULE_FOLDERS), None) or missing("Apache has no folder of modules")
        (make_folder(self.folder, "files") / "small").write_bytes(BODY)
        (self.folder / "users").write_text(sha_line())
        (self.folder / "digest_users").write_text(digest_line(REALM))
        loads = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in MODULES)
        (self.folder / "apache.conf").write_text(
            CONFIG.format(folder=self.folder, port=self.port, modules=loads, realm=REALM, short_s=SHORT_S))
        command = [binary, "-f", self.folder / "apache.conf", "-D", "FOREGROUND"]
        with running(command, [self.port], self.folder / "apache.log"):
            yield self

    def wait_until_stale(self, path: str, authorization: str) -> None:
        """Asks with credentials that were good until Apache finds their nonce too old."""
        def is_stale():
            connection = http.client.HTTPConnection(self.host, self.port, timeout=5)
            connection.request("GET", path, headers={"Authorization": authorization})
            answer = connection.getresponse()
            connection.close()
            return answer.status == 401 and "stale=true" in answer.headers["WWW-Authenticate"]
        wait_until(is_stale, STALE_S, lambda: "Apache does not find the nonce too old")

"""An nginx: files over http and https in every framing, Basic, client certificates, PUT, and servers with bad certificates."""
import contextlib
import os
import random

from support.faults import BODY

from world.programs import JsonLog, free_ports, is_listening, make_folder, program, running
from world.users import sha_line

SEED = 1991
SIZES = {"small": len(BODY), "4mib": 4 << 20, "16mib": 16 << 20}
TWICE = 2                   # requests on a connection to /twice/
REALM = "the nginx realm"
PORTS = "http", "https", "members", "other_name", "expired", "stranger", "self_signed"

CONFIG = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 512; }}
http {{
    log_format json escape=json '{{"uri": "$request_uri", "method": "$request_method", "status": "$status", "host": "$host", '
        '"port": "$server_port", "authorization": "$http_authorization", "protocol": "$server_protocol", '
        '"proxy_authorization": "$http_proxy_authorization", "connection": "$connection", "peer_port": "$remote_port", '
        '"reused": "$ssl_session_reused", "tls": "$ssl_protocol", "name": "$ssl_server_name", "user": "$remote_user"}}';
    access_log {folder}/access.json json;
    default_type application/octet-stream;
    sendfile on;
    client_max_body_size 64m;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {pem[good]};
    ssl_certificate_key {pem[good]};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:world:1m;
    server {{
        listen 127.0.0.1:{port[http]};
        listen 127.0.0.1:{port[https]} ssl;
        {ipv6}
        ssl_client_certificate {authority};
        ssl_verify_client optional;
        location /plain/ {{ alias {folder}/files/; }}
        location /cached/ {{ alias {folder}/files/; expires 1h; }}
        # what an SSI filter has looked at has no known length
        location /chunked/ {{ alias {folder}/files/; ssi on; ssi_types *; }}
        location /until-close/ {{ alias {folder}/files/; ssi on; ssi_types *; chunked_transfer_encoding off; }}
        location /twice/ {{ alias {folder}/files/; keepalive_requests {twice}; }}
        location /slow/ {{ alias {folder}/files/; limit_rate 1k; }}
        location /basic/ {{ alias {folder}/files/; auth_basic "{realm}"; auth_basic_user_file {folder}/users; }}
        location /member/ {{ alias {folder}/files/; if ($ssl_client_verify != SUCCESS) {{ return 403; }} }}
        location /upload/ {{ alias {folder}/uploads/; dav_methods PUT; }}
    }}
    server {{
        listen 127.0.0.1:{port[members]} ssl;
        ssl_client_certificate {authority};
        ssl_verify_client on;
        location /plain/ {{ alias {folder}/files/; }}
    }}
{bad_servers}
}}
"""

BAD_SERVER = """\
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {pem};
        ssl_certificate_key {pem};
        location /plain/ {{ alias {folder}/files/; }}
    }}"""


class Nginx:
    """Where it listens (port["https"] ...), what is in its files, and its log."""

    host = "127.0.0.1"

    def __init__(self, folder, certificates):
        self.folder, self.certificates = folder, certificates
        self.port = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.has_ipv6 = os.path.exists("/proc/net/if_inet6") and "::1" in loopback_addresses()
        self.log = JsonLog(folder / "access.json")

    def file(self, name: str):
        """A file that it serves, under the same name behind each location."""
        return self.folder / "files" / name

    def upload(self, name: str):
        """A file that was PUT."""
        return self.folder / "uploads" / name

    @contextlib.contextmanager
    def run(self):
        binary = program("nginx")
        make_folder(self.folder, "files")
        make_folder(self.folder, "uploads")
        numbers = random.Random(SEED)
        for name, size in SIZES.items():
            self.file(name).write_bytes(BODY if name == "small" else numbers.randbytes(size))
        (self.folder / "users").write_text(sha_line())
        (self.folder / "nginx.conf").write_text(self._config())
        command = [binary, "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", self.folder / "nginx.log"]
        with running(command, list(self.port.values()), self.folder / "nginx.log"):
            assert not self.has_ipv6 or is_listening(self.port["https"], "::1")
            yield self

    def _config(self) -> str:
        pem = {name: self.certificates.path(name) for name in ("good", *PORTS[3:])}
        return CONFIG.format(
            folder=self.folder, port=self.port, pem=pem, authority=self.certificates.authority, twice=TWICE, realm=REALM,
            ipv6=f"listen [::1]:{self.port['https']} ssl;" if self.has_ipv6 else "",
            bad_servers="\n".join(BAD_SERVER.format(port=self.port[name], pem=pem[name], folder=self.folder)
                                  for name in PORTS[3:]))


def loopback_addresses() -> str:
    """The addresses of IPv6 that are ::1, as text."""
    with open("/proc/net/if_inet6") as table:
        return "::1" if any(line.startswith("0" * 31 + "1 ") for line in table) else ""

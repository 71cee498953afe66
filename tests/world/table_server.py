"""An nginx with tables and a folder page, that counts what is fetched: requests and bytes of bodies."""
import contextlib
import http.client
import itertools
from dataclasses import dataclass

from world.programs import JsonLog, free_ports, make_folder, program, running

CONFIG = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 512; }}
http {{
    log_format json escape=json '{{"uri": "$request_uri", "method": "$request_method", "status": "$status", '
        '"n": "$body_bytes_sent", "sent": "$bytes_sent", "range": "$http_range"}}';
    access_log {folder}/access.json json;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        autoindex on;
        location /one-range/ {{ alias {folder}/files/; max_ranges 1; }}
        location /no-range/ {{ alias {folder}/files/; max_ranges 0; }}
        location /no-head/ {{ alias {folder}/files/; if ($request_method = HEAD) {{ return 405; }} }}
        location /secret/ {{ return 403; }}
    }}
}}
"""


@dataclass
class Fetched:
    """What was asked for meanwhile."""
    n_requests: int = 0
    n_bytes: int = 0            # of bodies
    n_sent: int = 0             # heads and bodies
    ranges: tuple[str, ...] = ()


class TableServer:
    def __init__(self, folder):
        self.folder, [self.port], self.log = folder, free_ports(1), JsonLog(folder / "access.json")
        self.files = make_folder(folder, "files")
        self._marks = itertools.count()

    def url(self, path: str, scheme: str = "qhttp") -> str:
        return f"{scheme}://127.0.0.1:{self.port}/{path}"

    @contextlib.contextmanager
    def run(self):
        (self.folder / "nginx.conf").write_text(CONFIG.format(folder=self.folder, port=self.port))
        command = [program("nginx"), "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", self.folder / "nginx.log"]
        with running(command, [self.port], self.folder / "nginx.log"):
            yield self

    @contextlib.contextmanager
    def counting(self):
        """What is fetched inside the block, known behind it."""
        fetched = Fetched()
        n_before = self._mark()
        yield fetched
        n_after = self._mark()          # before the log is read: what is above this mark stands in it then
        between = self.log.about("/")[n_before:n_after - 1]
        fetched.n_requests, fetched.n_bytes = len(between), sum(int(record["n"]) for record in between)
        fetched.n_sent = sum(int(record["sent"]) for record in between)
        fetched.ranges = tuple(record["range"] for record in between)

    def _mark(self) -> int:
        """Asks for something of its own, and waits until the log has it: as many lines are there then."""
        path = f"/mark-{next(self._marks)}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", path)
        connection.getresponse().read()
        connection.close()
        self.log.wait_about(path)
        return next(i for i, record in enumerate(self.log.about("/"), 1) if record["uri"] == path)

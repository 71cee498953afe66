"""Starts `support.file_server` as a process and talks to it.

    with FileServerProcess(seed=7, max_faults=5) as server:
        server.url(12)                  # http://127.0.0.1:<port>/f/12
        server.ask("report")            # see there for the commands
"""
import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
FAREWELL_S = 10.0


class FileServerProcess:
    """A file server in a process of its own. Options are those of its command line, with underscores."""

    def __init__(self, **options):
        given, self._n_hosts = [], options.get("hosts", 1)
        self._scheme = "https" if options.get("certificate") else "http"
        for name, value in options.items():
            flag = "--" + name.replace("_", "-")
            given += [flag] if value is True else [] if value is False else [f"{flag}={value}"]
        self._process = subprocess.Popen([sys.executable, "-m", "support.file_server", *given], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(TESTS)}, text=True)
        first_line = self._process.stdout.readline()
        if not first_line:
            raise RuntimeError(f"the file server did not start: exit {self._process.wait()}")
        self.pid, self.port = self._process.pid, int(first_line)

    def url(self, number: int) -> str:
        """Of a file; files go round the hosts."""
        return f"{self._scheme}://127.0.0.{1 + number % self._n_hosts}:{self.port}/f/{number}"

    def ask(self, command: str):
        """Sends a command and returns its answer. Raises RuntimeError where the server does not know it, or is gone."""
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the file server is gone"}
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def close(self) -> None:
        """Ends the server, and waits for that."""
        self._process.stdin.close()
        try:
            self._process.wait(FAREWELL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

"""Bodies that are huge, or cut very small, or announced larger than they are: is time linear, and memory flat?

    python tests/soak/huge.py --gib 20

    chunks    a million chunks of one byte: below 1 s, below 8 MB more memory; four million, with CPU time in proportion; and
              fewer of them, with each byte in a send of its own
    claims    8 GiB announced, by Content-Length or as one chunk, and little sent: no memory and no disk by what is announced.
              A block of memory grows at most 64-fold at a time towards what is announced, and what is not touched of it is
              address space only; a file gets at most 64 MiB ahead of what each connection has written, given back at the end
    streams   --gib GiB at full speed, every byte compared: the memory of the first tenth is enough for all, and nothing else
              stays open. Files are eaten behind the writer, so that they need not fit

Each is measured in a process of its own. Prints figures. Exit status 0: all holds; 1: something does not.
"""
import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MIB, GIB = 1 << 20, 1 << 30
CHUNK_WAYS = ("memory", "read", "file", "dropped", "device", "downloader", "bytes")
N_CHUNKS = (250_000, 500_000, 1_000_000, 4_000_000)
N_PROMISED = 1_000_000      # up to so many, the bounds of time and memory hold
N_DRIBBLED = (25_000, 50_000, 100_000)
MOST_S, MOST_MEMORY = 1.0, 8 * 10**6
LINEAR = 1.3                # for n times as many chunks, at most n times so much CPU time
LEAST_S = 0.005             # of CPU time, below which a ratio says nothing
MOST_FOR_A_CHUNK_S = 1e-4   # of CPU time, where each of its six bytes may wake the client up: how often one does is chance
CLAIM = 8 * GIB
CLAIM_WAYS = ("memory", "file", "downloader", "downloader split", "bytes")
N_SENT = (1000, 3 * MIB)
GROWTH, RESERVED, N_PIECES = 64, 64 * MIB, 4
SLACK = 4 * MIB             # of resident memory: the allocator's, and a huge page
STREAM_WAYS = (("read", "stream"), ("read", "chunked"), ("device", "stream"), ("file", "stream"), ("downloader", "stream"))
MOST_GROWTH = MIB
LIMIT_S = 900               # of one measure


class Huge:
    """The server, and what has been found wrong."""

    def __init__(self, folder: str):
        self.folder, self.wrong = folder, []
        self._server = subprocess.Popen([sys.executable, str(HERE / "huge_server.py")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = self._server.stdout.readline().strip()

    def close(self) -> None:
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()

    def measure(self, name: str, *arguments) -> dict:
        """Runs one measure in a process of its own, in an empty folder."""
        folder = tempfile.mkdtemp(dir=self.folder)
        try:
            program = [sys.executable, str(HERE / "huge_measures.py"), name, self.port, folder, json.dumps(arguments)]
            told = subprocess.run(program, stdout=subprocess.PIPE, timeout=LIMIT_S, check=True)
            return json.loads(told.stdout)
        finally:
            shutil.rmtree(folder)

    def expect(self, holds: bool, text: str) -> None:
        if not holds:
            self.wrong.append(text)
            print("  NOT as promised:", text)

    def chunks(self) -> None:
        for path, counts, ways in (("ones", N_CHUNKS, CHUNK_WAYS), ("dribble", N_DRIBBLED, ("memory", "file", "downloader"))):
            print(f"{'chunks of one byte' if path == 'ones' else 'the same, byte after byte':26} "
                  + "".join(f"{f'{n:,}: s, CPU s, more MB':>33}" for n in counts))
            for way in ways:
                rows = [self.measure("chunks", way, path, n) for n in counts]
                told = (f"{row['wall_s']:16.3f} {row['cpu_s']:7.4f} {row['memory'] / 1e6:8.2f}" for row in rows)
                print(f"  {way:24} {''.join(told)}", flush=True)
                for row, n in zip(rows, counts, strict=True):
                    self.expect(row["is_right"] and not row["error"], f"{way}, {n} chunks: a wrong body, or {row['error']!r}")
                    if n <= N_PROMISED:
                        self.expect(row["memory"] < MOST_MEMORY, f"{way}, {n} chunks take {row['memory'] / 1e6:.1f} MB")
                        self.expect(path != "ones" or row["wall_s"] < MOST_S, f"{way}, {n} chunks take {row['wall_s']:.2f} s")
                    self.expect(path == "ones" or row["cpu_s"] < MOST_FOR_A_CHUNK_S * n, f"{way}, {n} chunks: too much CPU")
                for (less, n), (more, n_more) in itertools.pairwise(zip(rows, counts, strict=True)):
                    most = LINEAR * n_more / n * max(less["cpu_s"], LEAST_S)
                    self.expect(path != "ones" or more["cpu_s"] < most, f"{way}, {n_more} chunks: CPU not in proportion")

    def claims(self) -> None:
        print(f"\n{'claims of 8 GiB':44} {'came':>9} {'resident MB':>12} {'space MB':>10} {'disk MB':>9} {'left MB':>8}")
        for way in CLAIM_WAYS:
            for n_sent in N_SENT:
                for path in (f"/claim/{CLAIM}/{n_sent}", f"/chunk/{n_sent}"):
                    row = self.measure("claim", way, path, n_sent)
                    name = f"{way}, {'Content-Length' if 'claim' in path else 'chunk size'}"
                    print(f"  {name:42} {row['n']:9} {row['resident'] / 1e6:12.2f} {row['space'] / 1e6:10.1f} "
                          f"{row['held'] / 1e6:9.2f} {row['left'] / 1e6:8.2f}", flush=True)
                    n_connections = N_PIECES if way == "downloader split" else 1
                    self.expect(row["n"] >= n_sent, f"{name}: {row['n']} of {n_sent} bytes came")
                    self.expect(row["resident"] < row["n"] + SLACK, f"{name}: takes {row['resident'] / 1e6:.1f} MB")
                    self.expect(row["space"] < GROWTH * (n_sent + MIB), f"{name}: {row['space'] / 1e6:.1f} MB of address space")
                    self.expect(row["held"] <= row["n"] + n_connections * RESERVED + MIB,
                                f"{name}: {row['held'] / 1e6:.1f} MB on the disk")
                    self.expect(row["left"] <= row["n"] + MIB, f"{name}: {row['left'] / 1e6:.1f} MB stay on the disk")

    def streams(self, n_gib: float) -> None:
        n = int(n_gib * GIB)
        print(f"\n{f'{n_gib:g} GiB':26} {'s':>8} {'GB/s':>6} {'CPU s':>8} {'most MB':>9} {'grew MB':>8} {'descriptors':>12} "
              f"{'file MB':>8}")
        for way, path in STREAM_WAYS:
            row = self.measure("stream", way, f"/{path}/{n}", n)
            name = f"{way}, {path}"
            print(f"  {name:24} {row['wall_s']:8.1f} {n / 1e9 / row['wall_s']:6.2f} {row['cpu_s']:8.1f} "
                  f"{row['resident'] / 1e6:9.1f} {row['grew'] / 1e6:8.2f} {row['descriptors']!s:>12} {row['held'] / 1e6:8.1f}",
                  flush=True)
            self.expect(row["is_right"] and not row["error"], f"{name}: wrong after {row['n']} bytes, or {row['error']!r}")
            self.expect(row["grew"] < MOST_GROWTH, f"{name}: memory grew by {row['grew'] / 1e6:.1f} MB")
            self.expect(len(row["descriptors"]) == 1, f"{name}: descriptors {row['descriptors']}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gib", type=float, default=20, help="of each stream")
    parser.add_argument("--only", choices=("chunks", "claims", "streams"))
    parser.add_argument("--disk", default=tempfile.gettempdir(), help="a folder for the files of claims, best on a real disk")
    given = parser.parse_args()
    for name in ("chunks", "claims", "streams") if given.only is None else (given.only,):
        folder = tempfile.mkdtemp(prefix="huge-", dir=given.disk if name == "claims" else "/dev/shm")
        huge = Huge(folder)
        try:
            getattr(huge, name)(*[given.gib] * (name == "streams"))
        finally:
            huge.close()
            shutil.rmtree(folder)
        if huge.wrong:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

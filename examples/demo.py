"""Download a real tree and one big file with qhttp and with urllib3, check every byte, compare the cost.

    python examples/demo.py [--big-mib N] [--lanes N]

The tree is the running Python's standard library, some thousands of files. It is served by nginx,
else by a small server of the demo's own, on loopback. Each download is a process of its own; the
SHA-256 of every file is compared with its source afterwards. Servers are ended and folders removed
whatever happens. The exit status is 0 only when every file came twice and equal.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import urllib.parse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from _demo_download import Item  # makes `bench` importable, too

from bench.nginx import find_nginx, nginx
from bench.pattern import write_pattern_file
from bench.private_network import enter_where_needed

HERE = Path(__file__).resolve().parent
SKIPPED_FOLDERS = {"__pycache__", "site-packages", "dist-packages"}
CLIENTS = ("qhttp", "urllib3")
SHOWN_FAILURES = 10

Source = tuple[Item, Path]  # what to download (target still relative), and the file it must equal


def find_tree(root: Path) -> list[Source]:
    """All readable files of the tree."""
    sources = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(set(subfolders) - SKIPPED_FOLDERS)
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_file() and os.access(file, os.R_OK):
                relative = str(file.relative_to(root))
                url_path = "/tree/" + urllib.parse.quote(os.fsencode(relative))
                sources.append((Item(url_path, f"tree/{relative}", file.stat().st_size), file))
    return sources


def make_big_file(folder: Path, n_bytes: int) -> Source:
    """On the disk before anything is timed, so that writing it back disturbs neither download."""
    file = folder / "big"
    write_pattern_file(file, n_bytes)
    with open(file, "rb+") as written:
        os.fsync(written.fileno())
    return Item("/big/big", "big", n_bytes), file


def touch_free_memory(folder: Path, n_bytes: int) -> None:
    """In a virtual machine the first use of free memory can cost ten times the rest; whoever
    downloads first would pay it, so it is paid here."""
    write_pattern_file(folder / "touch", n_bytes)
    (folder / "touch").unlink()


@contextlib.contextmanager
def own_server(locations: dict[str, str]) -> Iterator[int]:
    """The small server in its own process; gives its port."""
    process = subprocess.Popen(
        [sys.executable, HERE / "_demo_server.py", json.dumps(locations)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C is for us; we end it in order
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def run_download(client: str, port: int, lanes: int, sources: Sequence[Source], folder: Path) -> dict[str, Any]:
    """Download everything into `folder` in a process of its own; gives its numbers."""
    placed = [item._replace(target=str(folder / item.target)) for item, _ in sources]
    for parent in {os.path.dirname(item.target) for item in placed}:
        os.makedirs(parent, exist_ok=True)
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"port": port, "lanes": lanes, "small": placed[:-1], "big": placed[-1]}))
    done = subprocess.run([sys.executable, HERE / f"_demo_{client}.py", plan], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the download with {client} ended with status {done.returncode}")
    numbers: dict[str, Any] = json.loads(done.stdout)
    return numbers


def sha256(file: Path) -> str | None:
    """None for a file that is not there."""
    try:
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def differing(sources: Sequence[Source], digests: Sequence[str | None], folder: Path) -> list[str]:
    """The files below `folder` that are not what their source is."""
    with ThreadPoolExecutor() as threads:
        received = threads.map(sha256, [folder / item.target for item, _ in sources])
        return [
            item.target
            for (item, _), expected, digest in zip(sources, digests, received, strict=True)
            if digest is None or digest != expected
        ]


def cpu_s(numbers: dict[str, Any]) -> float:
    """Of both parts."""
    total: float = numbers["small"]["cpu_s"] + numbers["big"]["cpu_s"]
    return total


def columns(numbers: dict[str, Any], sources: Sequence[Source]) -> list[float]:
    """The row of a client."""
    small_bytes = sum(item.n_bytes for item, _ in sources[:-1])
    return [
        (len(sources) - 1) / numbers["small"]["wall_s"],
        small_bytes / 1e6 / numbers["small"]["wall_s"],
        sources[-1][0].n_bytes / 1e6 / numbers["big"]["wall_s"],
        numbers["small"]["cpu_s"],
        numbers["big"]["cpu_s"],
        cpu_s(numbers),
        numbers["peak_rss_kib"] / 1024,
    ]


def print_table(rows: dict[str, list[float]]) -> None:
    """Both clients and the ratio of the first to the second."""
    titles = ("files/s", "MB/s small", "MB/s big", "CPU s small", "CPU s big", "CPU s", "peak MiB")
    ratios = [ours / theirs if theirs else float("nan") for ours, theirs in zip(*rows.values(), strict=True)]
    print(f"\n{'':10}" + "".join(f"{title:>13}" for title in titles))
    for name, row in rows.items():
        print(f"{name:10}" + "".join(f"{value:13,.{0 if value >= 100 else 2}f}" for value in row))
    print(f"{'ratio':10}" + "".join(f"{ratio:12.2f}x" for ratio in ratios), flush=True)


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--big-mib", type=int, default=1024, help="size of the big file; default 1024")
    parser.add_argument("--lanes", type=int, default=16, help="QHttp objects, or threads; default 16")
    return parser.parse_args()


def download_both(options: argparse.Namespace, sources: Sequence[Source], port: int, folder: Path) -> int:
    """Download and verify with one client after the other, then compare; gives the exit status."""
    print("hashing the sources", flush=True)
    with ThreadPoolExecutor() as threads:
        digests = list(threads.map(sha256, [file for _, file in sources]))
    touch_free_memory(folder, sources[-1][0].n_bytes)
    results, n_wrong = {}, 0
    for client in CLIENTS:
        received = folder / client
        received.mkdir()
        results[client] = run_download(client, port, options.lanes, sources, received)
        print(f"  {client}: verifying", flush=True)
        wrong = differing(sources, digests, received)
        failed = results[client]["small"]["failures"] + results[client]["big"]["failures"]
        for text in [*failed, *(f"{name}: SHA-256 differs" for name in wrong)][:SHOWN_FAILURES]:
            print(f"  {client}: {text}")
        n_wrong += len(set(wrong)) or len(failed)
        shutil.rmtree(received)
    if n_wrong:
        print(f"\nFAILED: {n_wrong} files missing or different; such a download gets no numbers")
        return 1
    print_table({client: columns(results[client], sources) for client in CLIENTS})
    ours, theirs = (results[client] for client in CLIENTS)
    print(
        f"\nOK: {len(sources) - 1} files and one of {options.big_mib} MiB downloaded twice, every SHA-256 equal; "
        f"qhttp used {cpu_s(ours) / cpu_s(theirs):.2f}x the CPU "
        f"and {theirs['small']['wall_s'] / ours['small']['wall_s']:.1f}x the files/s of urllib3"
    )
    return 0


def main() -> int:
    """Prepare, download, clean up."""
    options = read_options()
    for module in CLIENTS:
        if importlib.util.find_spec(module) is None:
            print(f"{module} is not installed for {sys.executable}", file=sys.stderr)
            return 2
    network = enter_where_needed([sys.executable, str(HERE / "demo.py"), *sys.argv[1:]])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cleaning up below is done
    tree = Path(sysconfig.get_path("stdlib"))
    sources = find_tree(tree)
    n_big_bytes = options.big_mib << 20
    with tempfile.TemporaryDirectory(prefix="qhttp-demo-", dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        folder = Path(name)
        needed = 2 * n_big_bytes + sum(item.n_bytes for item, _ in sources) + (64 << 20)
        if shutil.disk_usage(folder).free < needed:
            print(f"{folder}: {needed >> 20} MiB of free disk are needed", file=sys.stderr)
            return 2
        print(f"making a file of {options.big_mib} MiB", flush=True)
        (folder / "served").mkdir()
        sources.append(make_big_file(folder / "served", n_big_bytes))
        locations = {"/tree/": str(tree), "/big/": str(folder / "served")}
        with nginx(locations) if find_nginx() else own_server(locations) as port:
            server = "nginx" if find_nginx() else "the demo's own server (nginx is not installed)"
            print(f"{len(sources) - 1} files of {tree} from {server}; {network}", flush=True)
            try:
                return download_both(options, sources, port, folder)
            finally:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not stop the cleaning up


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)
    except RuntimeError as error:
        sys.exit(f"FAILED: {error}")

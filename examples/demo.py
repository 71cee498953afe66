"""Download a real tree and one big file with the command qhttp and with urllib3, check every byte, compare the cost; then
interrupt the command in the middle, and run it again.

    python examples/demo.py [--big-mib N] [--lanes N]

The tree is the running Python's standard library, some thousands of files. It is served by nginx,
else by a small server of the demo's own, on loopback. Each download is a process of its own; the
SHA-256 of every file is compared with its source afterwards. Servers are ended and folders removed
whatever happens. The exit status is 0 only when every file came equal each time.
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
import time
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
SKIPPED_SUFFIXES = (".part", ".parts")      # names for what is not whole yet
CLIENTS = ("qhttp", "urllib3")     # the command, and the library
SHOWN_FAILURES = 10
INTERRUPTED_RATE = "50M"        # slow enough to be interrupted in the middle

Source = tuple[Item, Path]  # what to download (target still relative), and the file it must equal


def find_tree(root: Path) -> list[Source]:
    """All readable files of the tree, but those with a name that a download has while it is under way."""
    sources = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(set(subfolders) - SKIPPED_FOLDERS)
        for name in sorted(names):
            file = Path(folder, name)
            if not name.endswith(SKIPPED_SUFFIXES) and file.is_file() and os.access(file, os.R_OK):
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


def run_urllib3(port: int, lanes: int, sources: Sequence[Source], folder: Path) -> dict[str, Any]:
    """Download everything into `folder` in a process of its own; gives its numbers."""
    placed = [item._replace(target=str(folder / item.target)) for item, _ in sources]
    for parent in {os.path.dirname(item.target) for item in placed}:
        os.makedirs(parent, exist_ok=True)
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"port": port, "lanes": lanes, "small": placed[:-1], "big": placed[-1]}))
    done = subprocess.run([sys.executable, HERE / "_demo_urllib3.py", plan], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the download with urllib3 ended with status {done.returncode}")
    numbers: dict[str, Any] = json.loads(done.stdout)
    return numbers


def run_qhttp(port: int, lanes: int, sources: Sequence[Source], folder: Path) -> dict[str, Any]:
    """The same with the command; its numbers are those of the whole process, its start included."""
    parts = {"small": sources[:-1], "big": sources[-1:]}
    numbers = {name: timed_command(command_for(name, port, lanes, part, folder)) for name, part in parts.items()}
    return {**numbers, "peak_rss_kib": max(part["peak_rss_kib"] for part in numbers.values())}


def run_interrupted(port: int, lanes: int, sources: Sequence[Source], folder: Path) -> None:
    """The command, stopped by Ctrl-C when about half of the files are there, and then run once more."""
    command = command_for("both", port, lanes, sources, folder)
    n_wanted, tree = len(sources) // 2, folder / "tree"
    print(f"$ qhttp -i both.jsonl -d folder --limit-rate {INTERRUPTED_RATE}", flush=True)
    with subprocess.Popen([*command, "--limit-rate", INTERRUPTED_RATE]) as process:
        while process.poll() is None and n_files(tree) < n_wanted:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
    n_done = n_files(tree)
    print(f"  (Ctrl-C: {n_done} of {len(sources) - 1} files are there; exit status {process.returncode})")
    print("$ qhttp -i both.jsonl -d folder", flush=True)
    status = subprocess.run(command, check=False).returncode
    print(f"  (exit status {status})", flush=True)
    if status != 0:
        raise RuntimeError(f"the second run ended with status {status}")


def n_files(tree: Path) -> int:
    """Final names below a folder."""
    return sum(not name.endswith(".part") for _, _, names in os.walk(tree) for name in names)


def command_for(name: str, port: int, lanes: int, sources: Sequence[Source], folder: Path) -> list[str]:
    """The command line that fetches these files; its list is written."""
    rows = folder / f"{name}.jsonl"
    with open(rows, "w") as file:
        for item, _ in sources:
            row = {"url": f"http://127.0.0.1:{port}{item.url_path}", "out": item.target, "size": item.n_bytes}
            print(json.dumps(row), file=file)
    return [sys.executable, "-m", "qhttp", "-i", str(rows), "-d", str(folder), "-j", str(lanes), "--per-host", str(lanes)]


def timed_command(command: list[str]) -> dict[str, Any]:
    """Run a command; wall and CPU time, and its peak of memory."""
    start_s = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"the command ended with status {process.returncode}")
    return {
        "wall_s": time.perf_counter() - start_s, "cpu_s": usage.ru_utime + usage.ru_stime, "failures": [],
        "peak_rss_kib": usage.ru_maxrss,
    }


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
    parser.add_argument("--lanes", type=int, default=16, help="transfers at a time, or threads; default 16")
    return parser.parse_args()


def download_all(options: argparse.Namespace, sources: Sequence[Source], port: int, folder: Path) -> int:
    """Download and verify with one client after the other, and interrupted; then compare. Gives the exit status."""
    print("hashing the sources", flush=True)
    with ThreadPoolExecutor() as threads:
        digests = list(threads.map(sha256, [file for _, file in sources]))
    touch_free_memory(folder, sources[-1][0].n_bytes)
    results, n_wrong = {}, 0
    for client in CLIENTS:
        received = folder / client
        received.mkdir()
        run = run_qhttp if client == "qhttp" else run_urllib3
        results[client] = run(port, options.lanes, sources, received)
        print(f"  {client}: verifying", flush=True)
        wrong = differing(sources, digests, received)
        failed = results[client]["small"]["failures"] + results[client]["big"]["failures"]
        for text in [*failed, *(f"{name}: SHA-256 differs" for name in wrong)][:SHOWN_FAILURES]:
            print(f"  {client}: {text}")
        n_wrong += len(set(wrong)) or len(failed)
        shutil.rmtree(received)
    print("\nonce more, interrupted:", flush=True)
    received = folder / "interrupted"
    received.mkdir()
    run_interrupted(port, options.lanes, sources, received)
    n_wrong += len(differing(sources, digests, received))
    if n_wrong:
        print(f"\nFAILED: {n_wrong} files missing or different; such a download gets no numbers")
        return 1
    print_table({client: columns(results[client], sources) for client in CLIENTS})
    ours, theirs = (results[client] for client in CLIENTS)
    print(
        f"\nOK: {len(sources) - 1} files and one of {options.big_mib} MiB downloaded three times, every SHA-256 equal; "
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
                return download_all(options, sources, port, folder)
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

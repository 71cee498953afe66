"""Of the bulk comparison: a wrong file is seen, a wrong count too, the floor makes whole files, and ratios are to it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.build_c import build
from bench.bulk.contenders.programs import counted, told_each
from bench.bulk.contenders.task import Counter, Task
from bench.bulk.corpus import PIECE_LEN, Corpus, Made
from bench.bulk.fresh_folder import FreshFolders
from bench.bulk.report import table
from bench.bulk.workloads import WORKLOADS
from bench.contenders.runner import Outcome, WrongAnswer
from bench.pattern import pattern

CORPUS = Corpus(30, 1024, 65536)
MADE = Made(3, 16, 64)


def _change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: None, ""),
        (lambda folder: (folder / CORPUS.name(7)).unlink(), "1 files are missing"),
        (lambda folder: (folder / "f0000007.bin.part").touch(), "1 too many"),
        (lambda folder: (folder / CORPUS.name(7)).write_bytes(b"short"), "another length"),
        (lambda folder: _change(folder / CORPUS.name(7)), "other bytes"),
        (lambda folder: (folder / ".own").touch(), ""),
    ],
)
def test_corpus_fault_of_damage_says_it(damage: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    CORPUS.write(tmp_path)
    damage(tmp_path)
    fault = CORPUS.fault(tmp_path, ".own")
    assert said in fault
    assert bool(said) == bool(fault)


def test_corpus_drawn_again_is_the_same_and_in_bounds() -> None:
    lengths = [CORPUS.length(number) for number in range(CORPUS.n_files)]
    assert lengths == [Corpus(30, 1024, 65536).length(number) for number in range(30)]
    assert all(1024 <= length <= 65536 for length in lengths)
    assert min(lengths) < 8192 < max(lengths)
    assert CORPUS.number(CORPUS.path(12)) == 12


def test_corpus_pieces_of_a_large_file_are_its_length() -> None:
    large = Corpus(1, 3 * PIECE_LEN + 5, 3 * PIECE_LEN + 5)
    assert sum(map(len, large.pieces(0))) == large.length(0) == 3 * PIECE_LEN + 5


def test_made_path_is_of_its_length_and_leads_back() -> None:
    assert [MADE.path(number) for number in range(3)] == ["/b/16", "/b/17", "/b/18"]
    assert MADE.is_right(MADE.number("http://127.0.0.1:1/b/17"), pattern(17))
    assert not MADE.is_right(1, pattern(16))


@pytest.mark.parametrize("said", [{"n_right": 2, "n_bytes": 51}, {"n_right": 3, "n_bytes": 50}])
def test_counted_with_other_numbers_raises(said: dict[str, int]) -> None:
    task = Task(1, MADE, 1, "")
    counted(task, json.dumps({"n_right": 3, "n_bytes": 51}))
    with pytest.raises(WrongAnswer):
        counted(task, json.dumps(said))


@pytest.mark.parametrize("said", ["", "200 16 0\n200 17 1", "200 16 0\n200 17 1\n404 18 2", "200 16 0\n200 17 1\n200 17 2"])
def test_told_each_with_a_wrong_line_raises(said: str) -> None:
    task = Task(1, MADE, 1, "")
    told_each(task, "200 18 2\n200 16 0\n200 17 1")
    with pytest.raises(WrongAnswer):
        told_each(task, said)


@pytest.mark.parametrize(("status", "body"), [(404, pattern(16)), (200, pattern(17)), (200, b"\0" * 16)])
def test_counter_of_a_wrong_answer_raises(status: int, body: bytes) -> None:
    counter = Counter(Task(1, MADE, 1, ""))
    with pytest.raises(WrongAnswer):
        counter.take("/b/16", status, body)


def test_fresh_folders_next_run_the_one_before_takes_no_room(tmp_path: Path) -> None:
    with FreshFolders(str(tmp_path)) as folders:
        first = folders.fresh()
        (first / "file").write_bytes(b"content")
        second = folders.fresh()
        assert second != first
        assert not list(second.iterdir())
        assert not (first / "file").exists() or not (first / "file").stat().st_size
    assert not list(tmp_path.iterdir())


def test_table_of_a_failure_has_its_reason_and_ratios_to_the_floor() -> None:
    outcomes = {
        "c_files": [Outcome(10, 1.0, 0.5, 2048)],
        "curl_parallel": [Outcome(20, 4.0, 3.0, 4096), Outcome(20, 6.0, 3.0, 2048)],
        "wget2": [Outcome(10, 1.0, 0.1, 1024)],
    }
    lines = table(WORKLOADS["files_small"], outcomes, {"wget2": "wrong answer: another body"}).splitlines()
    assert lines[3].split("|")[3:9] == [" 150,000.0 ", " 3.00x ", " 250,000.0 ", " 2.50x ", " 4 ", " 4 "]
    assert "no number: wrong answer: another body" in lines[4]
    assert "0.1" not in lines[4]


@pytest.fixture(scope="module")
def epoll_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("floor"), ("epoll_files",)) / "epoll_files"


def _run_floor(program: Path, port: int, folder: Path, lengths: list[int], *more: str) -> subprocess.CompletedProcess[str]:
    (folder / "list").write_text("".join(f"/b/{length}\n" for length in lengths))
    command = [program, "--port", str(port), "--list", folder / "list", "--connections", "7", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_epoll_files_of_many_lengths_makes_them_all(epoll_files: Path, server_port: int, tmp_path: Path) -> None:
    lengths = [*range(0, 200, 9), 4096, 65535, 65536, 65537, 70000, 1 << 20, 5_000_001]
    (tmp_path / "out").mkdir()
    done = _run_floor(epoll_files, server_port, tmp_path, lengths, "--folder", str(tmp_path / "out"))
    assert json.loads(done.stdout) == {"n_right": len(lengths), "n_bytes": sum(lengths)}
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        str(length): pattern(length) for length in lengths
    }


def test_epoll_files_dropping_counts_them(epoll_files: Path, server_port: int, tmp_path: Path) -> None:
    done = _run_floor(epoll_files, server_port, tmp_path, [0, 1, 1000, 300_000], "--drop", "1")
    assert json.loads(done.stdout) == {"n_right": 4, "n_bytes": 301_001}


def test_epoll_files_name_that_is_there_is_not_replaced(epoll_files: Path, server_port: int, tmp_path: Path) -> None:
    (tmp_path / "10").write_text("mine")
    done = _run_floor(epoll_files, server_port, tmp_path, [10], "--folder", str(tmp_path))
    assert done.returncode != 0
    assert not done.stdout
    assert (tmp_path / "10").read_text() == "mine"

"""The pages of documentation: every link leads somewhere, every runnable block runs and prints what stands below it."""
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import pages

ROOT = pages.ROOT
RUN_S = 60
TOPICS = ["tutorial", "asyncio", "qt", "threads", "tables", "many-machines", "bulk", "https", "authentication", "proxies",
          "sockets", "watching", "devices", "coming-from-pyside", "differences", "reference"]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", pages.pages(), ids=name_of)
def test_page_links_lead_somewhere(page):
    assert pages.broken_links(page) == []


@pytest.mark.parametrize("page", pages.pages(), ids=name_of)
def test_page_blocks_end_and_python_is_python(page):
    for block in pages.blocks(page):
        if block.info.split()[:1] == ["python"]:
            compile(block.text, f"{page}:{block.line}", "exec")


@pytest.mark.parametrize("topic", TOPICS)
def test_page_begins_with_a_complete_example(topic):
    first = next(block for block in pages.blocks(ROOT / "docs" / f"{topic}.md") if block.info.startswith("python"))
    assert first.info.startswith("python runnable") and "qhttp" in first.text


@pytest.mark.parametrize("page", [page for page in pages.pages() if pages.programs(page)], ids=name_of)
def test_page_programs_run_and_print_what_is_said(page, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    done = subprocess.run([sys.executable, "-m", "support.pages", page], cwd=tmp_path, capture_output=True, text=True,
                          timeout=RUN_S, check=False,
                          env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"})
    assert done.returncode == 0, done.stderr + done.stdout


def test_readme_links_to_every_page():
    linked = set(pages.links(ROOT / "README.md"))
    assert {f"docs/{topic}.md" for topic in TOPICS} <= linked


def test_pages_with_a_missing_file_or_heading_are_told(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A title, with comma\n[a](gone.md) [b](#a-title-with-comma) [c](#nothing) [d](https://example.org/x)\n")
    assert pages.broken_links(page) == ["gone.md", "#nothing"]


def test_pictures_are_those_that_are_drawn():
    spec = importlib.util.spec_from_file_location("draw", ROOT / "tools" / "draw.py")
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    assert {name for name, draw in drawing.DRAWN.items() if (drawing.PICTURES / name).read_text() != draw()} == set()

"""The pages of documentation: their links and headings, and the blocks of Python that run.

A block that begins with ```python runnable is a complete program; a further word names a module without which it is passed
over. A block ```text prints behind it is what it prints. The blocks of a page run one after the other, each with names of its
own, in an empty folder and in the small world of `support.page_servers`: `python -m support.pages <page>`.
"""
import contextlib
import importlib.util
import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(.*)$")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
REFERENCE = re.compile(r"^\[[^\]]+\]: +(\S+)", re.M)


@dataclass
class Block:
    """A fenced block: what stands behind the fence, its text, the number of its first line."""
    info: str
    text: str
    line: int


def pages() -> list[Path]:
    """All pages of the project."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")])


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page. Raises ValueError for one that does not end."""
    found, block = [], None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = FENCE.match(line)
        if block is None and fence:
            block = Block(fence[1].strip(), "", number + 1)
        elif fence:
            found.append(block)
            block = None
        elif block is not None:
            block.text += line + "\n"
    if block is not None:
        raise ValueError(f"{page}: the block of line {block.line} does not end")
    return found


def programs(page: Path) -> list[tuple[Block, str | None]]:
    """The runnable blocks, each with what it prints, None where the page does not say."""
    all_blocks = blocks(page)
    following = [*all_blocks[1:], Block("", "", 0)]
    return [(block, after.text if after.info == "text prints" else None)
            for block, after in zip(all_blocks, following, strict=False) if block.info.split()[:2] == ["python", "runnable"]]


def prose(page: Path) -> str:
    """A page without its fenced blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S))


def links(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    return [next(filter(None, found)) for found in LINK.findall(text)] + REFERENCE.findall(text)


def anchors(page: Path) -> set[str]:
    """What can stand behind # in a link to the page, as GitHub makes it; and ids that are written out."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    made = {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.M)}
    return made | set(re.findall(r"(?:id|name)=\"([^\"]+)\"", text))


def broken_links(page: Path) -> list[str]:
    """The links of a page that lead nowhere; those to other sites are not followed."""
    broken = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page if not path else (page.parent / path)
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    return broken


def run(page: Path) -> int:
    """Runs the programs of a page in this process; the number of those that failed."""
    from support.page_servers import world

    n_failed = 0
    with world():
        for block, expected in programs(page):
            if any(importlib.util.find_spec(module) is None for module in block.info.split()[2:]):
                continue
            out = io.StringIO()
            source = "\n" * (block.line - 1) + block.text        # so that a traceback names the line of the page
            try:
                with contextlib.redirect_stdout(out):
                    exec(compile(source, str(page), "exec"), {"__name__": "__main__"})
            except Exception:
                import traceback
                traceback.print_exc()
                n_failed += 1
                continue
            if expected is not None and out.getvalue() != expected:
                print(f"{page}:{block.line}: expected\n{expected}came\n{out.getvalue()}", file=sys.stderr)
                n_failed += 1
    return n_failed


if __name__ == "__main__":
    sys.exit(min(run(Path(sys.argv[1])), 100))

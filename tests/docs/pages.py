"""Pages of the documentation as programs: their Python blocks and the output of each.

A page is one program: every fenced ``python`` block in order, in one namespace, at its own line, so
that a traceback names the page's lines. A ``text`` block right after a ``python`` block is its
output, with ``...`` for text that differs between machines. A block under the comment
``<!-- not run: REASON -->`` does not run.
"""

from __future__ import annotations

import functools
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.laws.sources import ROOT
from tests.laws.test_readme import run_python

__all__ = ["DOCS", "PAGES", "Block", "blocks", "cached_outputs", "fits", "program", "run_page"]

DOCS = ROOT / "docs"
# guide.md's commands and code have a test of their own, tests/diffusion/test_guide.py.
PAGES = sorted(page.stem for page in DOCS.glob("*.md") if page.stem != "guide")

_MARK = "\x1e"
_BLOCK = re.compile(
    r"(?:^<!-- not run:(?P<reason>[^\n]*)-->\n+)?^```python\n(?P<code>.*?)^```\n"
    r"(?:\n*^```text\n(?P<shown>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its first line in the page, its code and the output in the page."""

    line: int
    code: str
    shown: str | None
    reason: str | None


@functools.cache
def blocks(page: str) -> tuple[Block, ...]:
    """Return all Python blocks of ``docs/PAGE.md``."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        line = text[: match.start("code")].count("\n") + 1
        reason = match["reason"]
        found.append(Block(line, match["code"], match["shown"], reason and reason.strip()))
    return tuple(found)


def program(page: str) -> str:
    """Return the blocks that run as one program, each at its own line, after printing a mark."""
    lines: list[str] = []
    for block in blocks(page):
        if block.reason is None:
            lines += [""] * (block.line - 2 - len(lines))
            lines.append(f"print({_MARK!r}, end='', flush=True)")
            lines += block.code.splitlines()
    return "\n".join(lines) + "\n"


def run_page(page: str) -> tuple[str, ...]:
    """Run a page in a fresh process and an empty folder; return the output of each block."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{page}.py"
        file.write_text(program(page), encoding="utf-8")
        done = run_python([str(file)], Path(folder))
    assert done.returncode == 0, f"docs/{page}.md\n{done.stderr}"
    return tuple(done.stdout.split(_MARK)[1:])


@functools.cache
def cached_outputs(page: str) -> tuple[str, ...]:
    """Return the result of `run_page`, which runs once for all tests."""
    return run_page(page)


def fits(shown: str, output: str) -> bool:
    """Tell whether the output is what is shown; ``...`` stands for any text within a line."""
    pattern = "[^\n]*".join(re.escape(part) for part in shown.rstrip().split("..."))
    return re.fullmatch(pattern, output.rstrip()) is not None

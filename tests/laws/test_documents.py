"""README.md and ARCHITECTURE.md stay short enough to be read at once."""

from __future__ import annotations

import re

from tests.laws.sources import ROOT

MOST_LINES = 120
MOST_PARAGRAPH_LINES = 4
MOST_WORDS = 1000
MOST_NOTEBOOK_WORDS = 2500
MOST_COLUMNS = 110


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a page: no code, tables, lists or headings."""
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [
        each for each in re.split(r"\n\s*\n", plain) if each[:1] not in ("|", "-", "#", "!", "")
    ]


def test_the_readme_takes_two_minutes() -> None:
    text = read("README.md")
    assert len(text.splitlines()) <= MOST_LINES
    long = [each for each in paragraphs(text) if len(each.splitlines()) > MOST_PARAGRAPH_LINES]
    assert long == []
    wide = [line for line in text.splitlines() if len(line) > MOST_COLUMNS and line[0] != "|"]
    assert wide == []


def test_the_architecture_is_one_page() -> None:
    assert len(read("ARCHITECTURE.md").split()) <= MOST_WORDS


def test_the_lab_notebook_can_be_read() -> None:
    assert len(read("bench/results/README.md").split()) <= MOST_NOTEBOOK_WORDS

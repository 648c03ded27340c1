"""Every Python block of the documentation runs, and prints what the page shows."""

from __future__ import annotations

import importlib
import re

import pytest

from gpucore import Buffer, Device, Kernel
from tests.docs.pages import DOCS, PAGES, blocks, cached_outputs, fits, program
from tests.laws.sources import LIBRARY, ROOT

WITH_CODE = [page for page in PAGES if blocks(page)]
# What a name before a dot means on these pages, where it means one thing.
OWNERS: dict[str, tuple[object, ...]] = {
    **{name: (importlib.import_module(f"gpustd.{name}"),) for name in LIBRARY},
    "gpustd": (importlib.import_module("gpustd"),),
    "gpucore": tuple(
        map(importlib.import_module, ("gpucore", "gpucore.testing", "gpucore.interpreter"))
    ),
    "device": (Device,),
    "Device": (Device,),
    "buffer": (Buffer,),
    "kernel": (Kernel,),
}


@pytest.mark.parametrize("page", WITH_CODE)
def test_blocks_print_what_the_page_shows(page: str) -> None:
    run = [block for block in blocks(page) if block.reason is None]
    for block, output in zip(run, cached_outputs(page), strict=True):
        place = f"docs/{page}.md:{block.line} prints:\n{output}"
        assert fits(block.shown or "", output), place


def test_what_is_not_run_has_a_reason_and_parses() -> None:
    for page in PAGES:
        for block in blocks(page):
            if block.reason is not None:
                place = f"docs/{page}.md:{block.line}"
                assert len(block.reason) >= 20, place
                compile(block.code, place, "exec")


@pytest.mark.parametrize("page", PAGES)
def test_names_in_the_text_exist(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w./])(\w+)\.([a-z]\w+)", text))
    unknown = [
        f"{owner}.{name}"
        for owner, name in sorted(named)
        if owner in OWNERS
        and not any(hasattr(each, name) for each in OWNERS[owner])
        and not (ROOT / owner / name).is_dir()  # a package that is imported by its own name
    ]
    assert unknown == []


def test_no_block_escapes() -> None:
    """Fences that the reader of blocks would not see, such as indented ones or of api pages."""
    for file in DOCS.rglob("*.md"):
        text = file.read_text(encoding="utf-8")
        fences = sum("```" in line and "python" in line for line in text.splitlines())
        page = file.relative_to(DOCS).with_suffix("").as_posix()
        assert fences == len(blocks(page)), page
        assert page in PAGES or page == "guide" or not fences, page


@pytest.mark.parametrize("page", WITH_CODE)
def test_lines_of_a_program_are_those_of_its_page(page: str) -> None:
    lines = program(page).splitlines()
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8").splitlines()
    for block in blocks(page):
        if block.reason is None:
            assert lines[block.line - 1] == text[block.line - 1] == block.code.splitlines()[0]


def test_what_is_shown_is_compared() -> None:
    assert fits("a ... c\n", "a b c\n")
    assert not fits("a ... c\n", "a\nb c\n")
    assert not fits("", "a\n")
    assert not fits("a\n", "")


def test_every_example_has_its_place() -> None:
    text = (DOCS / "examples.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```{literalinclude} \.\./examples/(\w+)\.py$", text, re.MULTILINE)
    assert sorted(shown) == sorted(file.stem for file in (DOCS.parent / "examples").glob("*.py"))
    assert [name for name in shown if f"| [{name}](#" not in text] == []

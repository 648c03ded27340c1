"""A stranger's first hour: the tutorial on every engine, and mistakes that explain themselves."""

from __future__ import annotations

import re

import pytest

from gpucore import Device
from tests.docs.pages import DOCS, blocks, cached_outputs, fits, run_page

# What a stranger gets wrong in a kernel: what the message must name, and the way out it must show.
MISTAKES = {
    "a syntax error": ("KernelCompileError: ", "expected ';'", "    9 | ", "^"),
    "a wrong dtype": ("'x'", "Buffer[i32]", "array<f32>", "array.astype(np.float32)"),
    "a wrong number of bindings": ("takes 3 arguments, got 2", "one for each binding"),
    "a field that is missing": ("factor: f32", "missing factor", "var<uniform> p: Params"),
    "too large a grid": ("LimitError: ", "more than 65535", "spread it over two (x, y)"),
    "one buffer read and written": ("'y'", "same memory as 'x'", "a buffer of its own"),
    "an index out of bounds": ("past its part of 1000", "element 1000", "compare the invocation"),
}


def test_the_tutorial_on_every_engine(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUCORE_DEVICE", device.backend)
    outputs = run_page("tutorial")
    for block, output in zip(blocks("tutorial"), outputs, strict=True):
        assert fits(block.shown or "", output), f"docs/tutorial.md:{block.line}: {output}"
    assert device.backend in outputs[0]  # the name says how Mesa compiles, which differs there


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_say_what_to_do(mistake: str) -> None:
    """The messages as the page on kernels provokes them, read back."""
    name, *parts = MISTAKES[mistake]
    (message,) = [text for text in cached_outputs("kernels") if name in text and parts[0] in text]
    assert [part for part in parts if part not in message] == []


def test_mistakes_leave_the_device_usable() -> None:
    """The page goes on after its mistakes, with the same device: its last block is right."""
    assert fits("Graph(2 launches, ... 3.375", cached_outputs("kernels")[-1])


def test_each_page_leads_on() -> None:
    """The index reaches every page, and every link between pages leads somewhere."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    for page in DOCS.glob("*.md"):
        if page.stem != "index":
            assert re.search(rf"^{page.stem}\b", index, re.MULTILINE), page.stem
        text = re.sub(r"(?ms)^```.*?^```$|`[^`\n]+`", "", page.read_text(encoding="utf-8"))
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
        assert [link for link in links if not (page.parent / link).exists()] == [], page.name

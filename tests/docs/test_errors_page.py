"""The index of errors has every class, in the order of the tree, each with what it promises."""

from __future__ import annotations

import re

import pytest

from gpucore import errors
from tests.docs.pages import DOCS, blocks, cached_outputs

PAGE = (DOCS / "errors.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_every_class_and_nothing_else_is_there() -> None:
    defined = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    ]
    assert sorted(SECTIONS) == sorted(defined)
    drawn = re.findall(r"^[├└─ ]*([A-Z]\w+Error)", errors.__doc__ or "", re.MULTILINE)
    assert list(SECTIONS) == drawn


@pytest.mark.parametrize("name", [name for name in SECTIONS if name != "GpuError"])
def test_each_shows_its_message_and_says_what_to_do(name: str) -> None:
    text = SECTIONS[name]
    assert re.search(r"^Do: \S.{40,}", text, re.MULTILINE)
    shown = re.search(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert shown
    assert all(line.startswith((f"{name}: ", " ")) for line in shown[1].splitlines())
    outputs = [
        output
        for block, output in zip(blocks("errors"), cached_outputs("errors"), strict=True)
        if f"```python\n{block.code}```" in text
    ]
    assert f"{name}: " in "".join(outputs)

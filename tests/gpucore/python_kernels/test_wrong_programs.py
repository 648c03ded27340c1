"""Wrong kernels are refused with a message that a person has looked at: wrong_programs.txt.

``python -m tests.gpucore.python_kernels.test_wrong_programs`` writes that file again: look at it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpucore import Device, PythonKernelError
from tests.gpucore.python_kernels.wrong_programs import PROGRAMS

GOLDEN = Path(__file__).with_name("wrong_programs.txt")
_BLOCK = re.compile(r"^== (\w+)\n(.*?)(?=^== |\Z)", re.MULTILINE | re.DOTALL)


def message(name: str) -> str:
    """Return what is said of a wrong kernel, with the file's name alone."""
    kernel = PROGRAMS[name]
    with pytest.raises(PythonKernelError) as raised:
        kernel.kernel_on(Device.null())
    return re.sub(r"^\S*/(?=\w+\.py:)", "", str(raised.value), flags=re.MULTILINE)


def goldens() -> dict[str, str]:
    text = GOLDEN.read_text(encoding="utf-8")
    return {found[1]: found[2].rstrip("\n") for found in _BLOCK.finditer(text)}


def test_each_kind_of_mistake_is_there() -> None:
    assert goldens().keys() == PROGRAMS.keys()
    assert len(PROGRAMS) >= 40


@pytest.mark.parametrize("name", PROGRAMS)
def test_messages(name: str) -> None:
    assert message(name) == goldens()[name]


if __name__ == "__main__":
    lines = [f"== {name}\n{message(name)}\n" for name in PROGRAMS]
    GOLDEN.write_text("\n".join(lines), encoding="utf-8")

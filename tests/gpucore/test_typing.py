"""The type checker rejects a buffer of one dtype where another is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api", reason="mypy is in the test extra")

ROOT = Path(__file__).parents[2]
PREAMBLE = """\
from gpucore import Buffer, Device, f32, i32

def wants_integers(ids: Buffer[i32]) -> None: ...
def wants_floats(values: Buffer[f32]) -> None: ...

device = Device.auto()
floats = device.buffer(f32, (4,))
integers = device.buffer(i32, (4,))
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def check(snippet: str, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run `mypy --strict` on the snippet; return what it prints."""
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    file = folder / "snippet.py"
    file.write_text(PREAMBLE + snippet, encoding="utf-8")
    options = ["--strict", "--no-pretty", "--follow-imports=silent"]
    places = [f"--cache-dir={cache}", f"--config-file={ROOT / 'pyproject.toml'}"]
    output, errors, _ = api.run([*options, *places, str(file)])
    assert errors == ""
    return output


def test_right_dtypes_pass(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snippet = "wants_integers(integers)\nwants_floats(floats.view((2, 2)))\n"
    output = check(snippet, tmp_path, cache, monkeypatch)
    assert output.startswith("Success"), output


@pytest.mark.parametrize(
    ("snippet", "given", "wanted"),
    [
        ("wants_integers(floats)", "f32", "i32"),
        ("wants_floats(integers)", "i32", "f32"),
        ("wants_integers(floats.view((4,)))", "f32", "i32"),
        ("floats.copy_from(integers)", "i32", "f32"),
    ],
)
def test_wrong_dtypes_are_rejected(
    snippet: str,
    given: str,
    wanted: str,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = check(snippet + "\n", tmp_path, cache, monkeypatch)
    assert f'has incompatible type "Buffer[{given}]"; expected "Buffer[{wanted}]"' in output, output

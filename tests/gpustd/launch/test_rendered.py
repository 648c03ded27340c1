"""Rendered shaders on disk: found again, made again after changes, no fault where unwritable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpustd.launch import rendered, template
from gpustd.launch.rendered import CACHE_VARIABLE, load_text, store_text, text_file

SPEC = {"scalar": "f16", "width": 8, "silu": True}


@pytest.fixture
def shaders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder of templates, beside an empty cache."""
    folder = tmp_path / "shaders"
    folder.mkdir()
    (folder / "a.wgsl").write_text("alias S = {{ scalar }};\n")
    monkeypatch.setattr(template, "SHADERS", folder)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "kept"))
    forget(monkeypatch)
    yield folder
    forget(monkeypatch)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin as a new process does."""
    monkeypatch.setattr(template, "_rendered", {})
    template._environment.cache_clear()
    rendered._state_of.cache_clear()


def test_a_second_process_renders_nothing(shaders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = template.render("a.wgsl", SPEC)
    assert text == "alias S = f16;"
    forget(monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr(template, "_environment", lambda: pytest.fail("rendered"))
        assert template.render("a.wgsl", SPEC) == text
    assert template.render("a.wgsl", {**SPEC, "scalar": "f32"}) == "alias S = f32;"
    (shaders / "a.wgsl").write_text("alias T = {{ scalar }};\n")
    os.utime(shaders / "a.wgsl", ns=(1, 1))
    forget(monkeypatch)
    assert template.render("a.wgsl", SPEC) == "alias T = f16;"


def test_files_that_are_not_whole_are_of_no_use(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "text.txt"
    store_text(file, "one\ntwo\n")
    assert load_text(file) == "one\ntwo\n"
    assert [each.name for each in file.parent.iterdir()] == ["text.txt"]
    for damage in (file.read_bytes()[:-2], b"", b"\xff"):
        file.write_bytes(damage)
        assert load_text(file) is None
    assert load_text(tmp_path / "missing") is None


def test_nothing_is_kept_where_nothing_may_be(
    shaders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, "off")
    assert text_file(shaders, ("a",)) is None
    assert template.render("a.wgsl", SPEC) == "alias S = f16;"
    forget(monkeypatch)
    monkeypatch.setenv(CACHE_VARIABLE, "/proc/nowhere")
    assert template.render("a.wgsl", SPEC) == "alias S = f16;"

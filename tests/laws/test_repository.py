"""The repository's own order: what its files contain and what its documents promise."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path

import pytest

from tests.laws.sources import ROOT, name_of, tracked_files

BINARY = {".bin", ".gif", ".jpg", ".npy", ".npz", ".png", ".safetensors", ".webp"}
TEXT_FILES = [file for file in tracked_files() if file.suffix not in BINARY]
# Paths that exist on one machine only. Written in two parts, so that this file passes.
LOCAL_PATHS = ["/wo" + "rk/", "/tmp/x" + "dg", "/ho" + "me/", "/Us" + "ers/", "C:\\Us" + "ers"]
CONFLICT = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
MAX_FILE_BYTES = 24 * 1024 * 1024


@functools.cache
def read(file: Path) -> str:
    """Return the text of a file."""
    return file.read_bytes().decode()


def project() -> dict[str, object]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table: dict[str, object] = tomllib.loads(text)["project"]
    return table


def test_texts_name_no_path_of_one_machine() -> None:
    found = [name_of(f) for f in TEXT_FILES if any(path in read(f) for path in LOCAL_PATHS)]
    assert found == []


def test_texts_are_clean() -> None:
    """Lines end as on Unix, and no merge is unfinished."""
    found = [name_of(f) for f in TEXT_FILES if "\r" in read(f) or CONFLICT.search(read(f))]
    assert found == []


def test_no_file_is_huge() -> None:
    huge = {
        name_of(f): f.stat().st_size for f in tracked_files() if f.stat().st_size > MAX_FILE_BYTES
    }
    assert huge == {}


def test_the_changelog_knows_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{project()['version']}]" in changelog


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_documents_name_targets_and_files_that_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", text)) <= targets
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_licences_of_all_art_are_listed() -> None:
    listed = (ROOT / "LICENSES.md").read_text(encoding="utf-8")
    for model in (ROOT / "models").iterdir():
        assert f"models/{model.name}" in listed

"""Commits say in one short line what they do, and why in their body."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.laws.sources import ROOT

# The law holds for commits after this one.
BASE = "bb6c8ac"
MOST_CHARACTERS = 72


def subjects() -> list[str]:
    """Return the subjects of all commits after `BASE`, merges left out."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, so there are no commits to read")
    command = ["git", "log", "--no-merges", "--format=%s", f"{BASE}..HEAD"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip(f"git knows no commit {BASE} here: the checkout is shallow")
    return listing.stdout.splitlines()


def test_subjects_are_short_and_have_one_purpose() -> None:
    wrong = [each for each in subjects() if len(each) > MOST_CHARACTERS or ";" in each]
    assert wrong == []


def test_subjects_do_not_end_with_a_full_stop() -> None:
    assert [each for each in subjects() if each.endswith(".")] == []

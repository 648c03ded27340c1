"""The page's files: their size as sent, their types by TypeScript, and what they name."""

from __future__ import annotations

import gzip
import inspect
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from diffusion.server.routes.page_files import FOLDER, INDEX
from diffusion.server.routes.reference import writing

MOST_PACKED = 150_000
"""Bytes of the whole page as browsers get it."""

OPTIONS = {
    "allowJs": True,
    "checkJs": True,
    "noEmit": True,
    "strict": True,
    "noUnusedLocals": True,
    "target": "es2023",
    "module": "esnext",
    "moduleResolution": "bundler",
    "lib": ["es2023", "dom", "dom.iterable"],
    "types": [],
    "paths": {"/page/*": [f"{FOLDER}/*"]},
}


def test_the_page_is_small_as_sent() -> None:
    packed = [len(gzip.compress(file.read_bytes())) for file in FOLDER.rglob("*.*")]
    assert len(packed) > 20
    assert sum(packed) <= MOST_PACKED


def test_all_that_the_page_names_is_there_and_used() -> None:
    """Modules, style sheets and icons."""
    files = {file.relative_to(FOLDER).as_posix(): file for file in FOLDER.rglob("*.*")}
    text = {name: file.read_text() for name, file in files.items()}
    sources = [*text.values(), inspect.getsource(writing)]
    named = {each for every in sources for each in re.findall(r'"/page/([^"*]+)"', every)}
    assert named == set(files) - {INDEX}
    icons = dict(re.findall(r'^  (\w+): "(M[^"]+)",$', text["core/icons.js"], re.MULTILINE))
    words = "\n".join(every for name, every in text.items() if name != "core/icons.js")
    assert {name for name in icons if f'"{name}"' not in words} == set()


def test_typescript_finds_nothing(tmp_path: Path) -> None:
    """The types stand in JSDoc; ``npm install -g typescript`` gives the compiler."""
    compiler = os.environ.get("AVILA_TSC") or shutil.which("tsc")
    if compiler is None:
        pytest.skip("no TypeScript: npm install -g typescript, or name its tsc in AVILA_TSC")
    project = tmp_path / "tsconfig.json"
    project.write_text(json.dumps({"compilerOptions": OPTIONS, "include": [f"{FOLDER}/**/*.js"]}))
    run = subprocess.run(
        [compiler, "-p", str(project)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, ""), run.stdout + run.stderr

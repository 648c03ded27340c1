"""The repository as the law tests see it: its files, syntax trees and imports."""

from __future__ import annotations

import ast
import functools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("gpucore", "gpustd", "diffusion")
# The packages of gpustd that offer operations.
LIBRARY = ("arrays", "image", "linalg", "matmul", "nn", "random", "signal")
CODE = (*PACKAGES, "examples", "bench", "tools", "tests")
# What tools leave in a checkout; asked only where git cannot tell what belongs to us.
NOT_OURS = {
    ".git",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "__pycache__",
    "build",
    "dist",
}


@functools.cache
def tracked_files() -> tuple[Path, ...]:
    """Return every file that is, or with the next commit may be, part of the repository."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        # git refuses a checkout that belongs to another user, as in some containers.
        if listing.returncode == 0:
            files = [ROOT / name for name in listing.stdout.split("\0") if name]
            return tuple(sorted(file for file in files if file.is_file()))
    walked = [file for file in ROOT.rglob("*") if file.is_file()]
    return tuple(sorted(f for f in walked if not NOT_OURS.intersection(f.relative_to(ROOT).parts)))


def name_of(file: Path) -> str:
    """Return the file's path inside the repository."""
    return file.relative_to(ROOT).as_posix()


def python_files(*folders: str) -> list[Path]:
    """Return the Python files under the given folders of the repository."""
    roots = [ROOT / folder for folder in folders]
    return [
        file
        for file in tracked_files()
        if file.suffix == ".py" and any(file.is_relative_to(root) for root in roots)
    ]


@functools.cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=name_of(file))


def module_of(file: Path) -> str:
    """Return the dotted name under which the file is imported."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(file: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted module) of every import in the file, deferred and typing-only included.

    `from a import b` yields `a.b`: where b is no module, a prefix test still sees `a`.
    """
    package = module_of(file).split(".")
    if file.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield node.lineno, f"{start}.{alias.name}"


def is_within(module: str, package: str) -> bool:
    """Tell whether `module` is `package` or something inside it."""
    return module == package or module.startswith(package + ".")


def functions_of(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node

"""Files and functions stay small enough to be read at once."""

from __future__ import annotations

import ast
import statistics
from collections import Counter
from pathlib import Path

from tests.laws.sources import (
    CODE,
    PACKAGES,
    ROOT,
    functions_of,
    name_of,
    python_files,
    tracked_files,
)

MAX_FILE_LINES = 600
MAX_PACKAGE_FILE_LINES = 500
MEDIAN_FILE_LINES = 150
MAX_MODULES = 20
MAX_FUNCTION_LINES = 60
MAX_ARGUMENTS = 8
# Functions whose arguments are one thing each and cannot be grouped without hiding them.
MORE_ARGUMENTS = {
    "gpustd/matmul/conv.py fused_conv2d": 12,  # fused: each argument is one operand or its geometry
    "gpustd/matmul/winograd.py winograd_conv2d": 10,  # likewise
    "diffusion/pipeline/pipeline.py load": 12,  # each is one file, folder or name
    "gpustd/signal/short_time.py stft": 12,  # SciPy's
    "gpustd/signal/short_time.py istft": 11,  # SciPy's
}
FORBIDDEN_NAMES = {"base", "utils", "util", "common", "helpers", "helper", "misc"}
FILES = python_files(*CODE)


def line_count(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def test_there_is_code() -> None:
    assert len(FILES) > 20


def test_no_file_says_nothing_by_its_name() -> None:
    assert [name_of(f) for f in tracked_files() if f.stem.lower() in FORBIDDEN_NAMES] == []
    folders = {parent.name for file in tracked_files() for parent in file.relative_to(ROOT).parents}
    assert folders & FORBIDDEN_NAMES == set()


def test_no_file_is_too_long() -> None:
    sources = [*FILES, *(file for file in tracked_files() if file.suffix == ".wgsl")]
    long = {name_of(f): line_count(f) for f in sources if line_count(f) > MAX_FILE_LINES}
    assert long == {}


def test_no_file_of_a_package_is_too_long() -> None:
    files = python_files(*PACKAGES)
    long = {name_of(f): n for f in files if (n := line_count(f)) > MAX_PACKAGE_FILE_LINES}
    assert long == {}


def test_no_folder_has_too_many_modules() -> None:
    modules = Counter(f.parent for f in python_files(*PACKAGES) if f.name != "__init__.py")
    assert {name_of(folder): n for folder, n in modules.items() if n > MAX_MODULES} == {}


def test_most_files_are_short() -> None:
    lengths = [line_count(file) for file in python_files(*PACKAGES) if file.name != "__init__.py"]
    assert statistics.median(lengths) <= MEDIAN_FILE_LINES


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the statements, from the first to the last, less the docstring."""
    statements = function.body[ast.get_docstring(function) is not None :]
    if not statements:
        return 0
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1


def argument_count(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Arguments that a caller gives: all but self and cls."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return len([each for each in named if each.arg not in {"self", "cls"}])


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether the function is a command, whose arguments are the options a user types."""
    return any(".command(" in ast.unparse(decorator) for decorator in function.decorator_list)


def test_functions_are_short() -> None:
    found = [
        f"{name_of(file)}:{function.lineno} {function.name}"
        for file in FILES
        for function in functions_of(file)
        if body_lines(function) > MAX_FUNCTION_LINES
    ]
    assert found == []


def test_functions_take_few_arguments() -> None:
    found = [
        f"{name_of(file)}:{function.lineno} {function.name}"
        for file in FILES
        for function in functions_of(file)
        if argument_count(function) > most_arguments(file, function) and not is_command(function)
    ]
    assert found == []


def most_arguments(file: Path, function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many arguments a function may take."""
    return MORE_ARGUMENTS.get(f"{name_of(file)} {function.name}", MAX_ARGUMENTS)


def test_no_keyword_arguments_are_passed_through() -> None:
    """`**kwargs` that is handed on hides what a function takes; **of a named kind may be read."""
    found = [
        f"{name_of(file)}:{function.lineno}"
        for file in python_files(*PACKAGES)
        for function in functions_of(file)
        if function.args.kwarg is not None and function.args.kwarg.arg in {"kwargs", "kw", "kwds"}
    ]
    assert found == []


def test_the_measures_measure() -> None:
    source = 'def f(self, a, *, b):\n    """Doc.\n\n    More.\n    """\n    return a + b\n'
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert (body_lines(function), argument_count(function)) == (1, 2)

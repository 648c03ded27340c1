"""Names, docstrings and errors are plain English, in the words of the field."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.laws.sources import PACKAGES, functions_of, name_of, python_files, tree_of

FILES = python_files(*PACKAGES, "bench", "examples")
# Openings that make a reader look for the subject.
OPENINGS = re.compile(r"(What|Whether|That which|Of|How|Whose|Who|Those)\b")
MOST_WORDS = 30
# Words of a dialect that the project once had: what the field says instead is in CONTRIBUTING.md.
BANNED = {
    "again",
    "behind",
    "furnish",
    "joined",
    "lasting",
    "lookalike",
    "lookalikes",
    "losses",
    "rarer",
    "rung",
    "rungs",
    "soundness",
    "suited",
    "told",
}
# Verbs whose past form does not end in -ed.
IRREGULAR = {"done", "drawn", "held", "kept", "made", "read_from", "shown", "told", "written"}
# Names in -ed that are no participle of a verb, or that NumPy or GPU languages have.
ALLOWED = {"embed", "seed", "speed", "feed", "need", "jumped", "searchsorted", "shared"}


def docstrings(file: Path) -> Iterator[tuple[str, str]]:
    """Yield place and text of each docstring of a function or method."""
    for function in functions_of(file):
        text = ast.get_docstring(function)
        if text:
            yield f"{name_of(file)}:{function.lineno} {function.name}", text


def first_sentence(text: str) -> str:
    """Return a docstring up to its first full stop, code in it as one word."""
    plain = re.sub(r"``[^`]*``|`[^`]*`", "code", text.split("\n\n", maxsplit=1)[0])
    return re.split(r"(?<=[.!?;:])\s", plain)[0]


def test_docstrings_open_plainly() -> None:
    found = [place for file in FILES for place, text in docstrings(file) if OPENINGS.match(text)]
    assert found == []


def test_first_sentences_are_short() -> None:
    found = [
        place
        for file in FILES
        for place, text in docstrings(file)
        if len(first_sentence(text).split()) > MOST_WORDS
    ]
    assert found == []


def defined_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of every function, class and argument."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def test_names_use_the_words_of_the_field() -> None:
    found = [
        f"{name_of(file)}:{line} {name}"
        for file in FILES
        for line, name in defined_names(tree_of(file))
        if BANNED & set(re.findall(r"[a-z]+", re.sub(r"([A-Z])", r"_\1", name).lower()))
    ]
    assert found == []
    assert [name_of(file) for file in FILES if file.stem in BANNED] == []


def test_no_function_is_a_bare_participle() -> None:
    found = [
        f"{name_of(file)}:{function.lineno} {function.name}"
        for file in FILES
        for function in functions_of(file)
        if is_participle(function.name.strip("_")) and not is_property(function)
    ]
    assert found == []


def is_participle(name: str) -> bool:
    """Tell whether a name is one word, the past participle of a verb."""
    return name in IRREGULAR or ("_" not in name and name.endswith("ed") and name not in ALLOWED)


def is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a method is read like an attribute, for which "finished" is a usual name."""
    return any("property" in ast.unparse(each) for each in function.decorator_list)


def test_no_module_has_the_name_of_its_function() -> None:
    """Such a function hides its module in the package, or the module the function."""
    found = [
        name_of(file)
        for file in FILES
        for node in tree_of(file).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.name == file.stem
    ]
    assert found == []


def test_errors_say_what_must_be() -> None:
    """An error reads "width must be a multiple of 8, got 500", and never "wants"."""
    found = [
        f"{name_of(file)}:{node.lineno}"
        for file in FILES
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Raise) and re.search(r"\bwants\b", ast.unparse(node))
    ]
    assert found == []


def test_the_measures_measure() -> None:
    assert is_participle("settled")
    assert is_participle("told")
    assert not is_participle("forced_variant")
    assert not is_participle("seed")
    assert len(first_sentence("Return ``a b c``, a list: as it is.").split()) == 4

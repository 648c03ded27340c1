"""How Sphinx builds these pages: ``make docs`` writes them to build/docs, warnings are errors."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import typer
from typer.cli import get_docs_for_click

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from diffusion.cli.program import app as program  # noqa: E402 - the path comes first

project = "Avila"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "version"
]
project_copyright = "the authors of Avila"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"Avila {version}"
exclude_patterns = ["images/*"]

myst_heading_anchors = 4
smartquotes_action = "qe"  # "--mask" keeps its hyphens
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_use_ivar = True
autodoc_type_aliases = {
    "ArrayLike": "numpy.typing.ArrayLike",
    "DTypeLike": "numpy.typing.DTypeLike",
}
python_use_unqualified_type_names = True
default_role = "py:obj"


def _without_links_out(app: Any, page: str, source: list[str]) -> None:
    """Links to files of the repository beside docs/ become their paths: the site lacks them."""
    source[0] = re.sub(r"(?<!!)\[([^\]]+)\]\(\.\./([^)]+)\)", r"\1 (`\2`)", source[0])


def _with_help(app: Any, page: str, source: list[str]) -> None:
    """Append the help of all commands to their page; its marks of colour are dropped."""
    if page != "api/cli":
        return
    command = typer.main.get_command(program)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="avila")
    plain = re.sub(r"\[/?(?:cyan|dim|bold)\]", "", text).replace("\\[", "[")
    source[0] += re.sub(
        r"^#", "##", plain.replace("\n\navila ", "\n\n    avila "), flags=re.MULTILINE
    )


def _as_restructured_text(
    app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]
) -> None:
    """Docstrings are plain text: bars are bars, and what is indented by itself is code."""
    made: list[str] = []
    above = ""  # the last line that is not empty
    for line in lines:
        starts = line.startswith("    ") and made[-1:] == [""] and not above.startswith((" ", ":"))
        if starts and not above.endswith("::") and not re.match(r"[-*.] ?", above):
            made += ["::", ""]
        made.append(re.sub(r"\|", r"\\|", line) if "``" not in line else line)
        above = line or above
    lines[:] = made


def setup(app: Any) -> None:
    """Register the hooks above."""
    app.connect("source-read", _with_help)
    app.connect("source-read", _without_links_out)
    app.connect("autodoc-process-docstring", _as_restructured_text)

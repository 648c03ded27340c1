"""The front end over every shader of the repository."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpucore.wgsl import parse, print_module, reflect

SHADERS = Path(__file__).parents[3] / "shaders"
TEMPLATE_MARKS = ("{{", "{%", "//%")


def corpus() -> Iterator[tuple[str, str]]:
    """Name and source of every shader: rendered where the templates can be, else the plain ones."""
    try:
        template = importlib.import_module("gpustd.template")
    except ImportError:
        template = None
    rendered = getattr(template, "rendered_corpus", None)
    if rendered is not None:
        yield from rendered().items()
    for path in sorted(SHADERS.rglob("*.wgsl")):
        source = path.read_text(encoding="utf-8")
        if not any(mark in source for mark in TEMPLATE_MARKS):
            yield str(path.relative_to(SHADERS)), source


def test_every_shader_parses_prints_and_reflects() -> None:
    checked = 0
    for name, source in corpus():
        module = parse(source)
        printed = print_module(module)
        assert parse(printed) == module, name
        reflection = reflect(module)
        assert any(p.stage == "compute" for p in reflection.entry_points.values()), name
        again = reflect(parse(printed))
        assert again.entry_points == reflection.entry_points, name
        assert [b.fields for b in again.bindings] == [b.fields for b in reflection.bindings], name
        checked += 1
    if not checked:
        pytest.skip("no shader is rendered yet and none is plain")

"""The text of each butterfly, run as Python, against NumPy: constants and order, in float64."""

from __future__ import annotations

import re
from typing import Any

import jinja2
import numpy as np
import pytest

from gpustd.launch.template import SHADERS
from gpustd.signal.fourier.factors import is_smooth

LENGTHS = [n for n in range(1, 33) if is_smooth(n)]


def text_of(n: int) -> str:
    """Render the macro for variables v0, v1, ..."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SHADERS),
        line_statement_prefix="//%",
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    module: Any = environment.get_template("signal/butterflies.wgsl").module
    return str(module.butterfly([f"v{i}" for i in range(n)]))


def as_python(text: str) -> str:
    """Return WGSL's statements as Python.

    Names of inner blocks never outlive them, so that braces do not count.
    """
    text = re.sub(r"//.*", "", text)
    text = re.sub(r"[{}]", ";", text).replace("vec2<f32>(", "complex(")
    statements = (" ".join(s.split()) for s in text.split(";"))
    return "\n".join(re.sub(r"^(let|var) ", "", s) for s in statements if s)


@pytest.mark.parametrize("n", LENGTHS)
def test_butterflies(n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.standard_normal(n) + 1j * rng.standard_normal(n)
    names: dict[str, Any] = {f"v{i}": v for i, v in enumerate(x)}
    names |= {"times": lambda a, b: a * b, "turned": lambda v: -1j * v, "complex": complex}
    exec(as_python(text_of(n)), {"__builtins__": {}}, names)
    result = [names[f"v{i}"] for i in range(n)]
    # Ten digits of each constant, n of which meet in a number.
    np.testing.assert_allclose(result, np.fft.fft(x), rtol=0, atol=n * 1e-9)

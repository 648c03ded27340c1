"""Engines' compile messages, cut to what went wrong and the WGSL line they speak of."""

from __future__ import annotations

import re

from gpucore.errors import KernelCompileError

__all__ = ["compile_error"]

_PLACE = re.compile(r":(\d+):(\d+)")
_SAID = re.compile(r"\berror: (.+)")
# naga names an invalid entry point first, then under the source line what is wrong with it.
_WHY = re.compile(r"^\s+│\s+\^+ (.+)|^\s+= (.+)", re.MULTILINE)

# naga names types as its own data: [11] (of type Scalar(Scalar { kind: Float, width: 4 })).
_SCALAR = re.compile(r"\[\d+\] \(of type Scalar\(Scalar \{ kind: (\w+), width: (\d) \}\)\)")


def compile_error(error: Exception, source: str) -> KernelCompileError:
    """An engine's compile message, cut to what went wrong and the WGSL line it speaks of."""
    message = str(error)
    place = _PLACE.search(message)
    line, column = (int(place[1]), int(place[2])) if place else (0, 0)
    said = [m[1].strip() for m in _SAID.finditer(message)]
    if any(text.endswith("is invalid") for text in said):
        why = [(m[1] or m[2]).strip() for m in _WHY.finditer(message)]
        said += [w for w in why if "naga::" not in w and not w.endswith("is invalid")]
    said = [text for text in said if not text.endswith("is invalid")] or said
    text = _SCALAR.sub(_scalar_name, "; ".join(said) or message.strip())
    return KernelCompileError(f"WGSL does not compile: {text}", source, line, column)


def _scalar_name(found: re.Match[str]) -> str:
    letter = {"Float": "f", "Sint": "i", "Uint": "u"}.get(found[1])
    return f"{letter}{8 * int(found[2])}" if letter else found[1].lower()

"""Engines' compile messages, shortened to the fault and the WGSL line."""

from __future__ import annotations

import re

from gpucore.errors import KernelCompileError

__all__ = ["shorten_compile_error"]

_PLACE = re.compile(r":(\d+):(\d+)")
_FAULT = re.compile(r"\berror: (.+)")
# naga names an invalid entry point first, and what is wrong with it under the source line.
_REASON = re.compile(r"^\s+│\s+\^+ (.+)|^\s+= (.+)", re.MULTILINE)

# naga prints types as its own data: [11] (of type Scalar(Scalar { kind: Float, width: 4 })).
_SCALAR = re.compile(r"\[\d+\] \(of type Scalar\(Scalar \{ kind: (\w+), width: (\d) \}\)\)")


def shorten_compile_error(error: Exception, source: str) -> KernelCompileError:
    """Return an engine's compile error with the fault and the WGSL line alone."""
    message = str(error)
    place = _PLACE.search(message)
    line, column = (int(place[1]), int(place[2])) if place else (0, 0)
    faults = [m[1].strip() for m in _FAULT.finditer(message)]
    if any(fault.endswith("is invalid") for fault in faults):
        reasons = [(m[1] or m[2]).strip() for m in _REASON.finditer(message)]
        faults += [r for r in reasons if "naga::" not in r and not r.endswith("is invalid")]
    faults = [fault for fault in faults if not fault.endswith("is invalid")] or faults
    text = _SCALAR.sub(_scalar_name, "; ".join(faults) or message.strip())
    return KernelCompileError(f"WGSL does not compile: {text}", source, line, column)


def _scalar_name(found: re.Match[str]) -> str:
    letter = {"Float": "f", "Sint": "i", "Uint": "u"}.get(found[1])
    return f"{letter}{8 * int(found[2])}" if letter else found[1].lower()

"""Many kernels in one text: the prelude is compiled once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from gpucore.wgsl import reflect_outline
from gpucore.wgsl.c_family import PrintedKernel, Target
from gpucore.wgsl.c_family.module import print_kernel

__all__ = ["ShippedKernel", "compile_together", "entry_points"]

_LINES_OF_SIZE = 3
"""The prelude begins with the workgroup's size, in three macros."""
_MOST = 12
"""Kernels of a text: an error of the compiler should have a short list of suspects."""


class ShippedKernel(NamedTuple):
    """A kernel of the repository: the label of its file, its WGSL, an entry point."""

    name: str
    source: str
    entry: str

    def print_for(self, target: Target, *, checks: bool) -> PrintedKernel:
        """Print it for a target."""
        return print_kernel(self.source, self.entry, {}, checks=checks, target=target)


def entry_points(labelled: Iterable[tuple[str, str]]) -> tuple[ShippedKernel, ...]:
    """Return the kernels of labels and sources, each source once."""
    sources = {source: name for name, source in labelled}
    return tuple(
        ShippedKernel(name, source, entry)
        for source, name in sources.items()
        for entry in reflect_outline(source).entry_points
    )


def compile_together(
    kernels: Iterable[ShippedKernel],
    target: Target,
    compile_text: Callable[[str], bytes],
    *,
    checks: bool,
    named: bool = True,
) -> None:
    """Compile kernels, those of one prelude together; each must be in the machine code.

    What is not ``named``, such as bitcode, does not hold their names as they are. The prelude's own
    functions have the workgroup's size of the first of them.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for kernel in kernels:
        printed = kernel.print_for(target, checks=checks)
        *sizes, prelude = printed.prelude.split("\n", _LINES_OF_SIZE)
        groups.setdefault(prelude, []).append(("\n".join(sizes) + "\n", printed.body))
        assert all(line.startswith("#define W_") for line in sizes), kernel.name
    for prelude, bodies in groups.items():
        for first in range(0, len(bodies), _MOST):
            some = bodies[first : first + _MOST]
            code = compile_text(some[0][0] + prelude + "".join(_apart(some)))
            assert code
            for number in range(len(some) if named else 0):
                assert b"w_kernel_%d" % number in code


def _apart(bodies: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield bodies in namespaces of their own, their kernels numbered."""
    for number, (sizes, body) in enumerate(bodies):
        assert body.count("\nw_kernel(") == 1
        numbered = body.replace("\nw_kernel(", f"\nw_kernel_{number}(")
        yield f"#undef W_X\n#undef W_Y\n#undef W_Z\n{sizes}namespace w_{number} {{\n{numbered}}}\n"

"""Passes over the typed form: what is never used is dropped, what is known is computed.

Law: pure text work; a pass gives a kernel that computes the same.
"""

from gpucore.compiler.passes.constants import fold_constants
from gpucore.compiler.passes.copies import drop_copies
from gpucore.compiler.passes.dead_code import drop_dead_code
from gpucore.compiler.passes.invariants import move_invariants
from gpucore.compiler.passes.tangents import differentiate

__all__ = [
    "differentiate",
    "drop_copies",
    "drop_dead_code",
    "fold_constants",
    "move_invariants",
]

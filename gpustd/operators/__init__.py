"""What the operators, slices and methods of `gpucore.Buffer` do, by NumPy's rules.

Law: composes operations of `gpustd.arrays` and `gpustd.linalg`, and has none of its own. Functions
promote nothing, operators promote as NumPy 2 does (`gpustd.operators.promotion`).
"""

from gpucore.algebra.provider import Operations
from gpustd.operators import arithmetic, assigning, methods, selecting

__all__ = ["OPERATIONS"]

OPERATIONS: Operations = {
    **arithmetic.OPERATORS,
    **methods.METHODS,
    "assign": assigning.assign,
    "contains": arithmetic.contains,
    "select": selecting.select,
    "write_result": arithmetic.write_result,
}
"""The functions behind each operator and method, by the names of `gpucore.algebra`."""

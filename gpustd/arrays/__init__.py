# ruff: noqa: A004 (names are those of NumPy)
"""Arrays of numbers on the device, as NumPy has them on the host.

Law: names, arguments and results are NumPy's; nothing is promoted or converted silently, buffers
are contiguous, and every result is a new buffer whose bits do not depend on how work was spread.
Floats below the normal numbers (1.2e-38 in f32) may count as zero, as the device has it.

How it works:

- Elementwise operators are a table in ``shaders/arrays/operators.wgsl`` that one kernel reads.
  Functions of f32 are series of our own, since WGSL's may err by 2⁻¹¹.
- A reduction goes in runs whose length follows from the axis and the dtype. The last workgroup of a
  row folds what the others left. Wide arrays are folded along other axes in strips of columns.
- A scan is one launch on GPUs. One subgroup looks up the sums of the tiles before, while the others
  scan. The order of sums follows from places, so that bits do not depend on which workgroup came
  first. A workgroup that waits too long computes the missing sum itself: WebGPU promises no
  progress between workgroups.
- Rows of up to 8192 elements are sorted in registers by a bitonic network, longer ones by radix.
  One subgroup finds the first few of a row (`topk`). NaN comes last.
"""

from gpustd.arrays.creation import arange, full, linspace, ones, zeros
from gpustd.arrays.elementwise.arithmetic import (
    absolute,
    add,
    clip,
    divide,
    floor_divide,
    fmax,
    fmin,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    reciprocal,
    remainder,
    sign,
    square,
    subtract,
)
from gpustd.arrays.elementwise.bits import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    left_shift,
    right_shift,
)
from gpustd.arrays.elementwise.complex_parts import conjugate, imag, real
from gpustd.arrays.elementwise.exponentials import exp, exp2, expm1, log, log1p, log2, log10, sqrt
from gpustd.arrays.elementwise.logic import (
    equal,
    greater,
    greater_equal,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
    where,
)
from gpustd.arrays.elementwise.rounding import ceil, floor, round, trunc
from gpustd.arrays.elementwise.trigonometry import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cos,
    cosh,
    sin,
    sinh,
    tan,
    tanh,
)
from gpustd.arrays.expressions.elementwise_kernels import ElementwiseKernel
from gpustd.arrays.expressions.reduction_kernels import ReductionKernel
from gpustd.arrays.expressions.scan_kernels import ScanKernel
from gpustd.arrays.folds.reductions import (
    all,
    any,
    argmax,
    argmin,
    count_nonzero,
    max,
    mean,
    min,
    prod,
    std,
    sum,
    var,
)
from gpustd.arrays.folds.scans import cummax, cummin, cumprod, cumsum
from gpustd.arrays.indexing import (
    compress,
    nonzero,
    put_along_axis,
    scatter_add,
    take,
    take_along_axis,
)
from gpustd.arrays.moving.blocks import concat, stack
from gpustd.arrays.moving.rearranging import broadcast_to, flip, repeat, roll, tile
from gpustd.arrays.moving.transposing import transpose
from gpustd.arrays.sorting.radix import argsort, searchsorted, sort
from gpustd.arrays.sorting.selection import topk, unique

__all__ = [
    "ElementwiseKernel",
    "ReductionKernel",
    "ScanKernel",
    "absolute",
    "acos",
    "acosh",
    "add",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "argsort",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "broadcast_to",
    "ceil",
    "clip",
    "compress",
    "concat",
    "conjugate",
    "cos",
    "cosh",
    "count_nonzero",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "divide",
    "equal",
    "exp",
    "exp2",
    "expm1",
    "flip",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "full",
    "greater",
    "greater_equal",
    "imag",
    "isfinite",
    "isinf",
    "isnan",
    "left_shift",
    "less",
    "less_equal",
    "linspace",
    "log",
    "log1p",
    "log2",
    "log10",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "multiply",
    "negative",
    "nonzero",
    "not_equal",
    "ones",
    "power",
    "prod",
    "put_along_axis",
    "real",
    "reciprocal",
    "remainder",
    "repeat",
    "right_shift",
    "roll",
    "round",
    "scatter_add",
    "searchsorted",
    "sign",
    "sin",
    "sinh",
    "sort",
    "sqrt",
    "square",
    "stack",
    "std",
    "subtract",
    "sum",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tile",
    "topk",
    "transpose",
    "trunc",
    "unique",
    "var",
    "where",
    "zeros",
]

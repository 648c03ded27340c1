"""Linear algebra on buffers, with NumPy's and SciPy's names.

Law: the last two axes are matrices, and all axes before them a batch. Results are new buffers,
computed on the device without a read-back. The bits of a matrix do not depend on the size of its
batch.

How it works:

- `views` describes blocks, transposes, reversed orders and broadcast batches as a start and steps,
  which may be negative. One kernel (``shaders/linalg/tiles.wgsl``) updates such views in place. So
  factorisations need no copies, and an upper triangle is a reversed lower one.
- QR works on panels of 32 columns: Householder reflections in a workgroup, or for long panels inner
  products, with the reflections reconstructed from the result. A flag on the device sends
  ill-conditioned panels back to Householder.
- Singular values and symmetric eigenvalues are Jacobi methods, in workgroup memory while they fit.
  All sweeps are recorded; those after convergence find a count of zero and return.
- Cholesky takes one launch for 64 columns, LU four. A triangular system is solved by halves.
"""

from gpustd.linalg.batched_matmul import matmul
from gpustd.linalg.blas1 import asum, axpy, copy, dot, iamax, nrm2, rot, scal, swap
from gpustd.linalg.blas2 import gemv, ger, symv, trsv
from gpustd.linalg.blas3 import gemm, symm, syrk, trsm
from gpustd.linalg.decompositions.cholesky_factor import cho_solve, cholesky
from gpustd.linalg.decompositions.eigenvalues import eigh
from gpustd.linalg.decompositions.lu_factors import LU, lu, lu_factor, lu_solve
from gpustd.linalg.decompositions.qr_factors import qr
from gpustd.linalg.decompositions.singular_values import svd, svdvals
from gpustd.linalg.least_squares import cond, lstsq, matrix_rank, pinv
from gpustd.linalg.norms import norm
from gpustd.linalg.systems import SlogDet, det, inv, slogdet, solve
from gpustd.linalg.triangular import solve_triangular

__all__ = [
    "LU",
    "SlogDet",
    "asum",
    "axpy",
    "cho_solve",
    "cholesky",
    "cond",
    "copy",
    "det",
    "dot",
    "eigh",
    "gemm",
    "gemv",
    "ger",
    "iamax",
    "inv",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_solve",
    "matmul",
    "matrix_rank",
    "norm",
    "nrm2",
    "pinv",
    "qr",
    "rot",
    "scal",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "swap",
    "symm",
    "symv",
    "syrk",
    "trsm",
    "trsv",
]

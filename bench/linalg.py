"""Linear algebra: matrix products, solvers and factorisations beside cuBLAS and cuSOLVER."""

from __future__ import annotations

from bench import linalg_dense, linalg_orthogonal

__all__ = ["ENTRIES"]

ENTRIES = [*linalg_dense.ENTRIES, *linalg_orthogonal.ENTRIES]

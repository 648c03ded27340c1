"""Factorisations: Cholesky, LU, QR, eigenvalues and singular values.

Law: views are factorised in place; nothing is read back to the host.
"""

__all__: list[str] = []

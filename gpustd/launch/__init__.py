"""Launching kernels: templates, grids, variants, small tables and checks of arguments.

Law: this package knows no operation. Every operation imports it, and it imports none.
"""

__all__: list[str] = []

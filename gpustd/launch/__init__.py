"""How operations become launches: templates, grids, variants, checks of arguments.

Law: knows no operation; every operation imports it, and it imports none.
"""

__all__: list[str] = []

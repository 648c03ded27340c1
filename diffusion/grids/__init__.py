"""Labelled grids of pictures: axes, the values on them, cells, the picture and its text.

Law: nothing here knows what draws the cells. A caller names what a value changes, draws the cells,
and hands their pictures back.
"""

from diffusion.grids.axes import LABELS, Axis, AxisValue, expand_numbers, expand_range, split_values
from diffusion.grids.cells import MOST_AXES, MOST_CELLS, Cell, grid_infotext, make_cells
from diffusion.grids.picture import GAP, draw_grid

__all__ = [
    "GAP",
    "LABELS",
    "MOST_AXES",
    "MOST_CELLS",
    "Axis",
    "AxisValue",
    "Cell",
    "draw_grid",
    "expand_numbers",
    "expand_range",
    "grid_infotext",
    "make_cells",
    "split_values",
]

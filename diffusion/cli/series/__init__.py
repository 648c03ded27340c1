"""Several requests of one command line: a file of prompts, or a grid of settings.

Law: a series decides what is drawn in which order; `diffusion.cli.job` draws and writes it.
"""

from diffusion.cli.series.series import Series, find_series

__all__ = ["Series", "find_series"]

"""The command ``avila``.

Law: this package alone prints, reads arguments and owns progress; nothing imports it.
"""

from diffusion.cli.program import main

__all__ = ["main"]

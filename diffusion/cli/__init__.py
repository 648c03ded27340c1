"""The command ``avila``.

Law: this package alone prints, reads arguments and owns progress; nothing imports it.
"""

from diffusion.cli.entry import main

__all__ = ["main"]

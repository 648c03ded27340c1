"""``python -m diffusion.cli`` is ``avila``."""

from diffusion.cli import main

main()

"""What a picture is made from beside text: another picture, a mask, a second and larger pass.

Law: tasks know neither pipelines nor the command line; what they do to pictures runs on the host
before the first step or after the last, what they do to latents on the device.
"""

from diffusion.tasks.fitting import RESIZE_MODES
from diffusion.tasks.hires import UPSCALERS, Hires
from diffusion.tasks.init_image import Source
from diffusion.tasks.inpaint import AREAS, CONTENTS, Inpaint
from diffusion.tasks.outpaint import extended
from diffusion.tasks.seamless import check_seamless
from diffusion.tasks.tiling import TILINGS
from diffusion.tasks.variation import Variation

__all__ = [
    "AREAS",
    "CONTENTS",
    "RESIZE_MODES",
    "TILINGS",
    "UPSCALERS",
    "Hires",
    "Inpaint",
    "Source",
    "Variation",
    "check_seamless",
    "extended",
]

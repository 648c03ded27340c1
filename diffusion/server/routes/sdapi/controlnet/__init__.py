"""The interface of Mikubill/sd-webui-controlnet: its units in ``alwayson_scripts``, its routes.

Law: units become the ``controls`` and ``image_prompts`` of our own jobs, and nothing else of the
server knows of them.
"""

from diffusion.server.routes.sdapi.controlnet.maps import detected_maps, mapped_units
from diffusion.server.routes.sdapi.controlnet.prompts import unit_prompts
from diffusion.server.routes.sdapi.controlnet.routes import router
from diffusion.server.routes.sdapi.controlnet.translation import unit_controls
from diffusion.server.routes.sdapi.controlnet.units import NAME, Unit, read_units

__all__ = [
    "NAME",
    "Unit",
    "detected_maps",
    "mapped_units",
    "read_units",
    "router",
    "unit_controls",
    "unit_prompts",
]

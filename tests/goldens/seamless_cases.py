"""Networks whose convolutions wrap round: which cases diffusers computes and the tests compare.

Golden: `f"{axes}/{case.name}"` of a UNet's case; with `/moments` and `/decoded` of a VAE's.
"""

from collections.abc import Mapping
from typing import Final

from tests.goldens.cases import UNET_CASES, VAE_CASES, UNetCase, VAECase

AXES: Final = ("xy", "x", "y")
_UNETS: Final = ("three_levels-1x9x7-t321", "four_levels-2x8x12-t500")
_VAES: Final = ("three_levels-2x4x6", "two_levels-1x4x4")

UNETS: Final[Mapping[str, UNetCase]] = {
    f"{axes}/{case.name}": case for axes in AXES for case in UNET_CASES if case.name in _UNETS
}
VAES: Final[Mapping[str, VAECase]] = {
    f"{axes}/{case.name}": case for axes in AXES for case in VAE_CASES if case.name in _VAES
}

"""`python -m tools.goldens.colours`: make tests/data/goldens/colours.npz.

AUTOMATIC1111's colour correction with the libraries that it calls: L*a*b* in 8 bits by OpenCV,
scikit-image's matching of histograms, the blend mode "luminosity" of blendmodes. Made with
opencv-python-headless 5.0.0.93, scikit-image 0.26.0, blendmodes 2025.
"""

import cv2
import numpy as np
from blendmodes.blend import BlendType, blendLayers
from PIL import Image
from skimage.exposure import match_histograms

from tests.goldens.colour_cases import COLOUR_CASES, ColourCase
from tests.goldens.loader import FOLDER


def match(case: ColourCase) -> dict[str, np.ndarray]:
    """Return what each step makes: L*a*b* of both pictures, its match, its colours, the result."""
    own, wanted = (
        cv2.cvtColor(np.asarray(each), cv2.COLOR_RGB2LAB) for each in (case.drawn, case.other)
    )
    moved = match_histograms(own, wanted, channel_axis=2)
    colours = cv2.cvtColor(moved, cv2.COLOR_LAB2RGB)
    mixed = blendLayers(Image.fromarray(colours), case.drawn, BlendType.LUMINOSITY)
    steps = {"own": own, "wanted": wanted, "moved": moved, "colours": colours}
    return {**steps, "result": np.asarray(mixed.convert("RGB"))}


def main() -> None:
    """Make the file."""
    arrays = {
        f"{name}/{step}": array
        for name, case in COLOUR_CASES.items()
        for step, array in match(case).items()
    }
    np.savez_compressed(FOLDER / "colours.npz", **arrays)


if __name__ == "__main__":
    main()

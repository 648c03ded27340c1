"""Draw the picture of docs/control.md: maps that preprocessors make of one of the model's.

python -m tools.control_pictures docs/images
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from diffusion import Pipeline
from diffusion.control import PREPROCESSORS, Control
from diffusion.control.hints import make_map
from tools.guide_pictures import COLOURS, strip

LEFT_OUT = ("none", "invert", "inpaint_only", "recolor_intensity")
"""Those that show nothing new here."""
THRESHOLDS = {"tile_resample": 6.0, "blur_gaussian": 5.0, "threshold": 180.0, "shuffle": 1.0}
COLUMNS = 6


def draw_maps() -> Image.Image:
    """Arrange the picture and its maps in rows, each above its name."""
    pipeline = Pipeline.load()
    picture = pipeline.txt2img("a red apple")
    parts = [(Image.Image.copy(picture), "a red apple")]
    for name in PREPROCESSORS.names:
        if name not in LEFT_OUT:
            control = Control("x", picture, name, threshold_a=THRESHOLDS.get(name))
            parts.append((make_map(pipeline.device, control, picture, picture.size), name))
    rows = [strip(parts[n : n + COLUMNS]) for n in range(0, len(parts), COLUMNS)]
    result = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        result.paste(row, (0, top))
        top += row.height
    return result


def main() -> None:
    """Write the picture into the folder named on the command line."""
    found = draw_maps().quantize(COLOURS, dither=Image.Dither.NONE)
    found.save(Path(sys.argv[1]) / "control-maps.png", optimize=True)


if __name__ == "__main__":
    main()

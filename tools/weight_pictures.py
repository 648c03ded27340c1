"""Draw the bundled model's picture with each format of weights, for docs/quantization.md.

    python -m tools.weight_pictures docs/images/weights.webp

Prints the bytes of the weights on the device, the seconds of a picture, and the mean difference
from the first picture in steps of 255.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from diffusion import Pipeline

FORMATS = (None, "q8_0", "fp8", "q4_k")
PROMPT, SEEDS, STEPS = "a red apple", (1, 5), 12


def main(target: Path) -> None:
    """Draw and save the sheet: a column for each format, a row for each seed."""
    columns = []
    for name in FORMATS:
        pipeline = Pipeline.load(device="cpu", weights=name)
        taken = pipeline.device.memory.live
        pictures, seconds = [], []
        for seed in SEEDS:
            start = time.perf_counter()
            picture = pipeline.txt2img(PROMPT, steps=STEPS, seed=seed)
            seconds.append(time.perf_counter() - start)
            pictures.append(np.asarray(picture))
        columns.append(np.concatenate(pictures))
        apart = np.abs(columns[-1].astype(float) - columns[0]).mean()
        print(f"{name}: {taken} bytes, {min(seconds):.1f} s, {apart:.2f} apart", flush=True)
    Image.fromarray(np.concatenate(columns, axis=1)).save(target, quality=80)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Draw a picture with a full-size model on one device; tell the time and the peak of memory.

    python -m tools.full_size.memory FOLDER [--model sd15|sd21|sdxl] [--dtype f16] [--size 128]

A test of memory and limits, which needs no card and no PyTorch: the weights are random, and so is
the picture. ``FOLDER`` is written where it does not exist (f16: 2.1 GB for SD 1.5, 2.6 for 2.1, 6.9
for XL) and then removed at the end, unless --keep is given. ``avila txt2img`` draws the picture in
a process of its own. On a software renderer its peak holds all buffers of the device.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tools.full_size.models import MODELS
from tools.full_size.random_folder import write_random_folder

__all__ = ["Drawing", "draw"]


class Drawing(NamedTuple):
    """A finished process: its status, seconds, and the greatest memory that it held, in bytes."""

    status: int
    seconds: float
    peak: int


def draw(arguments: list[str]) -> Drawing:
    """Run ``avila`` with these arguments and wait for it."""
    start = time.perf_counter()
    command = [sys.executable, "-P", "-m", "diffusion.cli", *arguments]
    process = os.posix_spawn(sys.executable, command, os.environ)
    _, status, usage = os.wait4(process, 0)
    unit = 1 if sys.platform == "darwin" else 1024
    seconds = time.perf_counter() - start
    return Drawing(os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss * unit)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.full_size.memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=[name for name in MODELS if name != "refiner"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", help="f16 or f32 (as avila chooses)")
    parser.add_argument("--size", type=int, default=128, help="side of the picture (128)")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    parser.set_defaults(model="sd15")
    return parser


def main() -> int:
    """Draw as the command line says; return the status of ``avila``."""
    chosen = _parser().parse_args()
    folder: Path = chosen.folder
    existed = folder.exists()
    if not existed:
        write_random_folder(folder, MODELS[chosen.model])
    try:
        with tempfile.TemporaryDirectory() as place:
            arguments = ["txt2img", "a red apple", "--model", str(folder)]
            arguments += ["--output", str(Path(place) / "picture.png"), "--seed", "1"]
            arguments += ["--size", f"{chosen.size}x{chosen.size}", "--steps", str(chosen.steps)]
            arguments += ["--device", chosen.device]
            arguments += ["--dtype", chosen.dtype] if chosen.dtype else []
            drawing = draw(arguments)
    finally:
        if not (chosen.keep or existed):
            shutil.rmtree(folder)
    what = f"{chosen.model}, {chosen.size}x{chosen.size}, steps {chosen.steps}, {chosen.device}"
    numbers = f"{drawing.seconds:.1f} s, peak {drawing.peak / 1e9:.2f} GB"
    print(f"{what}, dtype {chosen.dtype or 'by default'}: {numbers}, status {drawing.status}")
    return drawing.status


if __name__ == "__main__":
    sys.exit(main())

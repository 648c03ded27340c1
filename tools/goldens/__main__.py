"""`python -m tools.goldens [STAGE ...]`: make the golden files (see README.md)."""

import argparse
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from diffusers.utils.logging import disable_progress_bar

from tests.goldens.configs import MODELS
from tests.goldens.loader import FOLDER, load
from tools.goldens import (
    agreement,
    models,
    networks,
    pipelines,
    single_files,
    tasks,
    tokenizers,
    torch_files,
)
from tools.goldens.networks import Arrays

Compute: TypeAlias = Callable[[Mapping[str, Any]], Arrays]

NETWORKS: Mapping[str, Compute] = {
    "text": networks.text,
    "unet": networks.unet,
    "vae": networks.vae,
}
EMOJI_TOKENIZER = Path(__file__).resolve().parents[2] / "models" / "emoji" / "tokenizer"


@functools.cache
def _pipelines(dtype: torch.dtype) -> Mapping[str, Any]:
    return {model: models.pipeline(model, dtype) for model in MODELS}


def make_models() -> None:
    """Make models.json: each network's config, parameter shapes and weights' digest."""
    text = json.dumps(models.describe(), sort_keys=True, separators=(",", ":"))
    (FOLDER / "models.json").write_text(text.replace('],"', '],\n"') + "\n", encoding="utf-8")


def _exact(compute: Compute) -> Arrays:
    with models.exact():
        return compute(_pipelines(torch.float64))


def _write(name: str, arrays: Arrays) -> None:
    """Write results as f32; noise levels stay f64, images u8, ids i32."""
    stored: dict[str, Any] = {
        key: array.astype(np.float32)
        if array.dtype == np.float64 and not key.endswith(("/sigmas", "/timesteps"))
        else array
        for key, array in arrays.items()
    }
    np.savez_compressed(FOLDER / f"{name}.npz", **stored)


def make_networks() -> None:
    """Make text.npz, unet.npz and vae.npz: a float64 run with which the f32 run agrees."""
    for name, compute in NETWORKS.items():
        arrays = _exact(compute)
        agreement.check_networks(f"{name} in f32", compute(_pipelines(torch.float32)), arrays)
        _write(name, arrays)


def make_pipelines() -> None:
    """Make pipeline.npz: a float64 run with which f32 and diffusers' own schedulers agree."""
    arrays = _exact(pipelines.run)
    single = _pipelines(torch.float32)
    agreement.check_runs("f32", pipelines.run(single), arrays)
    agreement.check_runs("f32 and native schedulers", pipelines.run_native(single), arrays)
    _write("pipeline", arrays)


def make_tasks() -> None:
    """Make tasks.npz: img2img and inpainting in float64, with which the f32 run agrees."""
    with models.exact():
        arrays = tasks.run(torch.float64)
    tasks.check(tasks.run(torch.float32), arrays)
    _write("tasks", arrays)


def make_tokenizers() -> None:
    """Make tokenizer_golden.json and tokenizer_emoji.json."""
    tokenizers.write_golden(FOLDER / "tokenizer_golden.json")
    tokenizers.write_ids(EMOJI_TOKENIZER, FOLDER / "tokenizer_emoji.json")


def make_single_files() -> None:
    """Make single_files.npz: where diffusers finds its parameters in full-size single files."""
    arrays = {
        f"{name}/{key}": array
        for name, model in single_files.MODELS.items()
        for key, array in single_files.describe(model).items()
    }
    np.savez_compressed(FOLDER / "single_files.npz", **arrays)


def make_torch_files() -> None:
    """Make checkpoint.bin and checkpoint.npz: a file as PyTorch saves it, and its content."""
    torch_files.write(FOLDER)


def report_precision() -> None:
    """Print how far f32 and f16 runs of the networks lie from the golden files."""
    for dtype in (torch.float32, torch.float16):
        for name, compute in NETWORKS.items():
            found = agreement.worst(compute(_pipelines(dtype)), load(name))
            print(
                f"{name} {dtype}: relative L2 {found.relative:.1e}, "
                f"greatest difference {found.largest:.1e}"
            )


STAGES: Mapping[str, Callable[[], None]] = {
    "models": make_models,
    "networks": make_networks,
    "pipelines": make_pipelines,
    "tasks": make_tasks,
    "tokenizers": make_tokenizers,
    "single_files": make_single_files,
    "torch_files": make_torch_files,
    "precision": report_precision,
}


def main() -> None:
    """Run the stages named on the command line, in their own order; all of them by default."""
    parser = argparse.ArgumentParser(prog="python -m tools.goldens", description=__doc__)
    parser.add_argument("stage", nargs="*", metavar="STAGE", help=", ".join(STAGES))
    chosen = parser.parse_args().stage or list(STAGES)
    if unknown := set(chosen) - set(STAGES):
        parser.error(f"unknown stage {', '.join(sorted(unknown))}; there are {', '.join(STAGES)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.use_deterministic_algorithms(True)
    disable_progress_bar()
    with torch.no_grad():
        for name in STAGES:
            if name in chosen:
                STAGES[name]()


if __name__ == "__main__":
    main()

"""``avila plan``: the memory that a drawing takes, told before anything is loaded."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from rich.console import Console
from rich.table import Table
from typer import Argument, Option

from diffusion.checks import read_bytes
from diffusion.cli.app import app, examples, reporting
from diffusion.cli.job import check_settings, open_device
from diffusion.cli.options.completion import complete_models
from diffusion.cli.options.loras import parse_lora
from diffusion.cli.options.model import find_dtype
from diffusion.cli.options.parsing import parse_sides
from diffusion.cli.options.shared import (
    ControlFolderOption,
    DebugOption,
    DeviceOption,
    JsonOption,
    NetworkTypeOption,
    SizeOption,
    VramOption,
    WeightsOption,
)
from diffusion.control import Control, ControlFolder
from diffusion.control.choice import is_path
from diffusion.memory import MemoryPlan
from diffusion.pipeline.memory import traced_device, with_copy_rate
from diffusion.pipeline.pipeline import Pipeline
from diffusion.settings import Settings
from diffusion.tasks.hires import Hires
from gpucore import Device
from gpucore.memory.pool import size_text

__all__ = ["print_plan"]

EXAMPLES = examples(
    "avila plan sdxl/ --size 1024x1024",
    "avila plan sd15/ --size 512x768 --batch 4 --json",
    "avila plan sdxl/ --vram 4G --weights q8_0",
    "avila plan sd15/ --control canny.safetensors --lora style.safetensors",
)

ModelArgument = Annotated[
    Path | None,
    Argument(
        metavar="MODEL",
        autocompletion=complete_models,
        help="A folder in the diffusers layout, a .safetensors file, or a name that "
        "'avila model list' shows. Without one, the bundled model.",
        show_default=False,
    ),
]
BatchOption = Annotated[int, Option(min=1, help="How many pictures to compute at once.")]
ControlOption = Annotated[
    list[str] | None,
    Option(
        "--control",
        metavar="NETWORK",
        help="A ControlNet or T2I-Adapter beside it: a name in --controls, or a path. May be "
        "given again.",
        show_default="none",
    ),
]
LoraOption = Annotated[
    list[str] | None,
    Option(
        "--lora",
        metavar="NAME\\[:WEIGHT]",
        help="A LoRA: a name in --loras, or a path. May be given again.",
        show_default="none",
    ),
]
LoraFolderOption = Annotated[
    Path | None, Option("--loras", metavar="FOLDER", help="Folder of LoRAs by name.")
]
UnetOption = Annotated[
    Path | None,
    Option("--unet", metavar="FILE", help="The file of a UNet in place of the model's own."),
]
HiresOption = Annotated[
    float | None,
    Option("--hires", help="How many times larger a second pass draws.", show_default="none"),
]
VaeOption = Annotated[
    Path | None,
    Option("--vae", metavar="PATH", help="A VAE in place of the model's own."),
]


@app.command("plan", epilog=EXAMPLES)
def print_plan(
    context: typer.Context,
    model: ModelArgument = None,
    *,
    size: SizeOption = None,
    batch: BatchOption = 1,
    control: ControlOption = None,
    controls: ControlFolderOption = None,
    lora: LoraOption = None,
    loras: LoraFolderOption = None,
    hires: HiresOption = None,
    vae: VaeOption = None,
    unet: UnetOption = None,
    vram: VramOption = None,
    weights: WeightsOption = None,
    dtype: NetworkTypeOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Tell how much memory of the device a drawing takes, without drawing it.

    Nothing is computed and no weight is read. The run itself is made on a device that only counts,
    so the bytes are those that the run takes.
    """
    with reporting(context, debug):
        folder = ControlFolder(controls) if controls is not None else None
        settings = _settings(size, batch, control or [], hires)
        settings = replace(settings, loras=tuple(map(parse_lora, lora or ())))
        check_settings(settings)
        found = open_device(device)
        try:
            traced, kind = traced_device(found), find_dtype(dtype, found)
            pipeline = Pipeline.load(
                model, traced, kind, vae=vae, unet=unet, loras=loras, weights=weights
            )
            if folder is not None:
                pipeline.controls.folder = folder
            pipeline.memory.nbytes = read_bytes("vram", vram)
            complete = settings.with_defaults(pipeline.defaults)
            placement, plan = pipeline.memory.fit(pipeline, found, complete)
            plan = with_copy_rate(plan, found)
            if as_json:
                print(
                    json.dumps(
                        {
                            "device": _device_record(found),
                            "placement": asdict(placement),
                            **plan.record(),
                        }
                    )
                )
            else:
                Console().print(_plan_table(plan))
                print(f"{placement}")
                print(_fit_text(plan, found))
        finally:
            found.close()


def _settings(size: str | None, batch: int, controls: list[str], hires: float | None) -> Settings:
    """Return settings of a drawing whose prompt has one chunk. Raises `SettingsError`."""
    width, height = (None, None) if size is None else parse_sides(size)
    blank = Image.new("RGB", (64, 64))
    return Settings(
        "a picture",
        width=width,
        height=height,
        count=batch,
        batch=batch,
        controls=tuple(Control(Path(each) if is_path(each) else each, blank) for each in controls),
        hires=None if hires is None else Hires(hires),
    )


def _plan_table(plan: MemoryPlan) -> Table:
    """Return the plan as a table for people, one figure in each row."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, nbytes in plan.weights.items():
        table.add_row(f"weights of {name}", size_text(nbytes))
    if plan.transformed:
        table.add_row(
            "  of these transformed for quicker convolutions", size_text(plan.transformed)
        )
    for name, nbytes in plan.host.items():
        if nbytes:
            table.add_row(f"weights of {name} in memory of the host", size_text(nbytes))
    for text, nbytes, seconds in (
        ("copied at each call of the UNet", plan.moved_per_call, plan.seconds_per_call),
        ("copied for each batch of pictures", plan.moved_once, plan.seconds_once),
    ):
        if nbytes:
            table.add_row(text, size_text(nbytes))
            if seconds is not None:
                table.add_row("  which takes about", f"{1e3 * seconds:,.1f} ms")
    table.add_row("activations at the peak", size_text(plan.activations))
    for name, nbytes in plan.stages.items():
        table.add_row(f"taken at most while {name}", size_text(nbytes))
    table.add_row("staging for results", size_text(plan.staging))
    return table


def _fit_text(plan: MemoryPlan, device: Device) -> str:
    """Return one line: the peak, and whether the device has as much."""
    peak = f"{size_text(plan.peak)} at the peak"
    if device.memory_size is None:
        return f"{peak}; {device.name} ({device.backend}) does not tell how much it has"
    verdict = "fits" if plan.peak <= device.memory_size else "does not fit"
    return f"{peak}: {verdict} the {size_text(device.memory_size)} of {device.name}"


def _device_record(device: Device) -> dict[str, object]:
    return {"name": device.name, "backend": device.backend, "memory": device.memory_size}

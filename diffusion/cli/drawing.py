"""Commands that draw: their frame, and the run from a command line to files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from inspect import Parameter
from pathlib import Path
from typing import Any, Final, NamedTuple

import typer

from diffusion.cli.app import STOPPED, app, complain, reporting
from diffusion.cli.from_picture import report_unreproduced
from diffusion.cli.interruption import interruptible
from diffusion.cli.job import STOPPING, Job, check_settings, open_device
from diffusion.cli.native_messages import hide_native_messages
from diffusion.cli.networks import find_networks
from diffusion.cli.options.groups import OptionGroup, with_groups
from diffusion.cli.options.guidance import ImprovementOptions
from diffusion.cli.options.hires import HiresOptions
from diffusion.cli.options.loras import check_names
from diffusion.cli.options.picture import PictureOptions, VariationOptions
from diffusion.cli.options.pictures.controls import check_control_names
from diffusion.cli.options.pictures.image_prompts import check_image_prompt_names
from diffusion.cli.options.sampling import SamplingOptions
from diffusion.cli.options.shortcuts import ShortcutOptions
from diffusion.cli.options.upscalers import check_upscaler_names
from diffusion.cli.output import Output
from diffusion.cli.profiling import write_profile
from diffusion.cli.progress import ProgressBar
from diffusion.cli.requests import Build, CommandLine
from diffusion.cli.series import Series, find_series
from diffusion.samplers import SAMPLERS

__all__ = ["drawing_command"]

SAMPLER_LIST: Final = (
    f"Samplers: {', '.join(SAMPLERS.names)}. With guidance, give ipndm, plms and lms --set order=2."
)

_OF_A_TEXT: Final[tuple[type[OptionGroup], ...]] = (
    *(PictureOptions, SamplingOptions, ImprovementOptions, ShortcutOptions),
    *(VariationOptions, HiresOptions),
)
"""Groups of options whose settings a picture's text holds."""


def drawing_command(name: str, epilog: str) -> Callable[[Build], Build]:
    """Make a command of a function that returns a `Request`; its parameters are the options."""

    def register(build: Build) -> Build:
        grouped = with_groups(build)

        def run(context: typer.Context, **values: Any) -> None:
            with reporting(context, values["debug"]):
                typed = _without_defaults(context, values)
                draw(CommandLine(context, typed, grouped))

        own = Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        parameters = [own, *inspect.signature(grouped).parameters.values()]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__doc__ = build.__doc__
        app.command(name, epilog=f"{SAMPLER_LIST}\n\n{epilog}")(run)
        return build

    return register


def _without_defaults(context: typer.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values; where ``--from`` is given, without defaults that its text overrules."""
    if values.get("picture") is None:
        return dict(values)
    names = {group.prefix + each.name for group in _OF_A_TEXT for each in fields(group)}  # type: ignore[arg-type]
    return {
        name: None if name in names | {"size"} and _is_default(context, name) else value
        for name, value in values.items()
    }


def _is_default(context: typer.Context, name: str) -> bool:
    """Tell whether a value comes from the config file or the environment."""
    source = context.get_parameter_source(name)
    return source is not None and source.name in {"DEFAULT_MAP", "ENVIRONMENT"}


def draw(line: CommandLine) -> None:
    """Draw and write the pictures of a command line, and print what was written.

    Call it inside `reporting`. Raises `DiffusionError` and `GpuError`.
    """
    options = line.options
    output = Output.from_text(options.run.output)
    series = find_series(line, output)
    total, files = check_requests(series)
    if not options.run.force:
        output.require_other_names(files, total)
    preview = options.preview.preview([*files, options.run.profile])
    if preview is not None:
        preview.check(output, total)
    shown = not (options.run.as_json or options.run.quiet)
    job = Job(output, total, options.run, ProgressBar(shown), preview)
    with hide_native_messages(shown=options.run.debug):
        device = open_device(options.run.device)
    try:
        with (
            write_profile(device, options.run.profile),
            job.progress,
            interruptible(lambda: job.progress.phase(STOPPING)) as interruption,
        ):
            for task in series.tasks():
                job.run(task, device, interruption)
        series.finish(job, complete=True)
    except KeyboardInterrupt:
        complain(f"stopped; {job.done} of {total} pictures were finished")
        series.finish(job, complete=False)
        raise typer.Exit(STOPPED) from None
    finally:
        device.close()
    job.report()


class Checked(NamedTuple):
    """The number of pictures of all requests, and the files that they read."""

    total: int
    files: set[Path]


def check_requests(series: Series) -> Checked:
    """Check all settings before any work, and report what of earlier pictures has no effect.

    Raises `DiffusionError`.
    """
    total, files, texts = 0, set[Path](), set[tuple[str, bool]]()
    for request in series.requests():
        check_settings(request.settings)
        check_names(request.settings, request.options.lora_folder())
        request.options.inversion.folder()
        check_control_names(request.settings, request.options.control_folder())
        check_image_prompt_names(request.settings, request.options.control_folder())
        check_upscaler_names(request.settings, request.options.upscaling.folder())
        find_networks(request)
        total += request.settings.count
        files.update(request.input_files, request.options.controls.files())
        files.update(request.options.image_prompts.files())
        if request.earlier_text is not None:
            hires = request.settings.hires
            texts.add((request.earlier_text, hires is not None and hires.first is not None))
    for text, goes_on in texts:
        report_unreproduced(text, ("First pass",) if goes_on else ())
    return Checked(total, files)

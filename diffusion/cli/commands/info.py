"""``avila info``: the settings that a picture carries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument

from diffusion.cli.app import app, escape_lines, examples, reporting
from diffusion.cli.options.shared import DebugOption, JsonOption
from diffusion.errors import SettingsError
from diffusion.infotext.files import read_infotext
from diffusion.infotext.grammar import parse_infotext

__all__ = ["print_settings"]

EXAMPLES = examples("avila info 00001-7.png", "avila info 00001-7.png --json")

ReadImageArgument = Annotated[Path, Argument(help="A PNG, JPEG or WebP file.", show_default=False)]


@app.command("info", epilog=EXAMPLES)
def print_settings(
    context: typer.Context,
    image: ReadImageArgument,
    *,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Print the settings that a picture carries.

    It reads the text that this program and others of the field write into PNG, JPEG and WebP
    files.
    """
    with reporting(context, debug):
        text = read_infotext(image)
        if text is None:
            raise SettingsError("image", str(image), "must be a picture with a text")
        found = parse_infotext(text)
        if as_json:
            record = {"prompt": found.prompt, "negative": found.negative}
            print(json.dumps(record | {"settings": dict(found.settings)}))
        else:
            print(escape_lines(text))

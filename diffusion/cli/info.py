"""``avila info``: the settings that a picture carries."""

from __future__ import annotations

import json

import typer

from diffusion.cli import options
from diffusion.cli.app import app, reporting
from diffusion.errors import SettingsError, printable
from diffusion.infotext.grammar import parse_infotext, read_infotext

__all__ = ["info"]

EXAMPLES = """\
Examples:

[cyan]avila info 00001-7.png[/cyan]

[cyan]avila info 00001-7.png --json[/cyan]
"""


@app.command(epilog=EXAMPLES)
def info(
    context: typer.Context,
    image: options.Shown,
    *,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Print the settings that a picture carries.

    Reads the text that this program and others of the field write into PNG, JPEG and WebP files.
    """
    with reporting(context, debug):
        text = read_infotext(image)
        if text is None:
            raise SettingsError("image", str(image), "it carries no settings")
        found = parse_infotext(text)
        if not as_json:
            print(shown(text))
            return
        record = {"prompt": found.prompt, "negative": found.negative}
        print(json.dumps(record | {"settings": dict(found.settings)}))


def shown(text: str) -> str:
    """``text`` with what could steer a terminal escaped; lines stay lines."""
    return "\n".join(map(printable, text.split("\n")))

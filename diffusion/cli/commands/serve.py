"""``avila serve``: the server of pictures over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from diffusion.cli.app import app, examples, needing_extra, reporting
from diffusion.cli.options.shared import (
    ControlFolderOption,
    DebugOption,
    DeviceOption,
    EmbeddingFolderOption,
    LoraFolderOption,
    NetworkTypeOption,
    UpscalerFolderOption,
    VaeFolderOption,
    VramOption,
    WeightsOption,
)

__all__ = ["run_server"]

EXAMPLES = examples(
    "avila serve",
    "avila serve --new-users users.toml",
    "avila serve --host 0.0.0.0 --users users.toml",
    "avila serve --devices all",
)


@app.command("serve", epilog=EXAMPLES)
def run_server(
    context: typer.Context,
    *,
    host: Annotated[
        str | None,
        Option(help="Address to listen to.", show_default="127.0.0.1, this machine alone"),
    ] = None,
    port: Annotated[int | None, Option(help="Port to listen to.", show_default="7860")] = None,
    config: Annotated[
        Path | None,
        Option(metavar="FILE", help="TOML file of settings, see docs/server.md."),
    ] = None,
    users: Annotated[
        Path | None,
        Option(metavar="FILE", help="TOML file of users and tokens, which only you can read."),
    ] = None,
    new_users: Annotated[
        Path | None,
        Option(metavar="FILE", help="Write such a file with a new token, and end."),
    ] = None,
    output: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="Folder of the pictures and of their history."),
    ] = None,
    model: Annotated[
        str | None,
        Option("--model", "-m", metavar="NAME", help="Model of requests that name none."),
    ] = None,
    models: Annotated[
        Path | None,
        Option(metavar="FOLDER", help="Folder of models that requests may name, too."),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            help="Folder with vocab.json and merges.txt, for files of models without a folder "
            "'tokenizer' beside them.",
        ),
    ] = None,
    unet_base: Annotated[
        str | None,
        Option(
            metavar="NAME",
            help="Model whose text encoders and VAE draw with files that hold a UNet alone.",
        ),
    ] = None,
    loras: LoraFolderOption = None,
    embeddings: EmbeddingFolderOption = None,
    controls: ControlFolderOption = None,
    upscalers: UpscalerFolderOption = None,
    vaes: VaeFolderOption = None,
    styles: Annotated[
        Path | None,
        Option(metavar="FILE", help="CSV file of prompt styles, as the WebUI writes it."),
    ] = None,
    device: DeviceOption = None,
    devices: Annotated[
        str | None,
        Option(
            metavar="LIST",
            help="Draw on several GPUs, with a worker for each: all, numbers of these such as "
            "0,1, or names as --device takes them. All are those like the best one; dawn:all or "
            "cuda:all take those of an engine.",
            show_default="one worker on --device",
        ),
    ] = None,
    dtype: NetworkTypeOption = None,
    vram: VramOption = None,
    weights: WeightsOption = None,
    debug: DebugOption = False,
) -> None:
    """Serve pictures over HTTP, with the interface of AUTOMATIC1111's WebUI and one of our own.

    SIGTERM or Ctrl-C ends it once the running jobs are done; the second one ends it at once.
    """
    with reporting(context, debug):
        # Imported here: a plain install lacks the libraries, and other commands need not wait.
        with needing_extra("server"):
            from diffusion.server.access.users import create_users_file
            from diffusion.server.launch import serve
            from diffusion.server.settings import load_settings
        if new_users is not None:
            create_users_file(new_users)
            print(f"{new_users} has a user 'admin' and a token", file=sys.stderr)
            return
        options = {
            "host": host,
            "port": port,
            "users": users,
            "output": output,
            "model": model,
            "models": models,
            "tokenizer": tokenizer,
            "unet_base": unet_base,
            "loras": loras,
            "embeddings": embeddings,
            "controls": controls,
            "upscalers": upscalers,
            "vaes": vaes,
            "styles": styles,
            "device": device,
            "devices": devices,
            "dtype": dtype,
            "vram": vram,
            "weights": weights,
        }
        serve(load_settings(config, options))

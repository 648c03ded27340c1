"""``avila model``: the models on this machine, and how more of them come here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from diffusion.checkpoints import ModelFile, ModelFolder, hub, open_model
from diffusion.checkpoints.bundled import BUNDLED, bundled_model, named_model
from diffusion.checkpoints.model_folder import Part
from diffusion.checkpoints.verify import check_finite, check_weights
from diffusion.cli import options
from diffusion.cli.app import app, complain, reporting
from diffusion.cli.progress import slowly
from diffusion.errors import ModelNotFoundError, SettingsError
from diffusion.pipeline.networks import load_tokenizers

__all__ = ["models"]

models = typer.Typer(name="model", help="List, show, download, delete and check models.")
app.add_typer(models, no_args_is_help=True)

_FAILED = 1

Name = Annotated[
    str,
    typer.Argument(
        help="owner/name or owner/name/FILE.safetensors as on the Hugging Face Hub, or a path.",
        show_default=False,
    ),
]
Revision = Annotated[str, typer.Option("--revision", help="A branch, a tag or a commit.")]
Variant = Annotated[
    str | None,
    typer.Option(
        "--variant",
        metavar="NAME",
        help="plain or fp16 weights; fp16, which are half as large, where there are such.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@models.command("list")
def list_models(
    context: typer.Context, *, as_json: options.AsJson = False, debug: options.Debug = False
) -> None:
    """List the bundled model and those in the Hugging Face cache."""
    with reporting(context, debug):
        rows = [(BUNDLED, "bundled", _size(bundled_model()), bundled_model())]
        rows += [(m.name, m.licence, m.size, m.path) for m in hub.cached_models()]
    if as_json:
        keys = ("name", "licence", "bytes", "path")
        print(json.dumps([dict(zip(keys, (*row[:3], str(row[3])), strict=True)) for row in rows]))
        return
    table = Table("model", "licence", "size", "path", box=None)
    for name, licence, size, path in rows:
        table.add_row(Text(name), Text(licence), gigabytes(size), Text(str(path)))
    Console(soft_wrap=True).print(table)


@models.command()
def show(
    context: typer.Context,
    name: Name,
    *,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Tell what a model is: its kind, its parts and their sizes."""
    with reporting(context, debug):
        facts = dict(_facts(_opened(name)))
    if as_json:
        print(json.dumps(facts))
    else:
        for key, value in facts.items():
            print(f"{key}: {value}")


@models.command()
def pull(
    context: typer.Context,
    name: Name,
    *,
    revision: Revision = "main",
    variant: Variant = None,
    yes: Yes = False,
    debug: options.Debug = False,
) -> None:
    """Download a model from the Hugging Face Hub into the cache that other tools share.

    Licence and size are shown first. A download that was stopped goes on where it was.
    """
    with reporting(context, debug):
        offer = hub.fetch_offer(name, revision, variant)
        for line in offer_lines(offer):
            print(line, file=sys.stderr)
        if offer.missing:
            confirm(f"Download {gigabytes(offer.missing)}?", yes)
        path = hub.pull(offer)
    print(path)


@models.command()
def rm(
    context: typer.Context, name: Name, *, yes: Yes = False, debug: options.Debug = False
) -> None:
    """Delete a model from the cache."""
    with reporting(context, debug):
        if name == BUNDLED or Path(name).exists():
            reason = "comes with the package" if name == BUNDLED else "is a path, not a name"
            hint = "only downloaded models are deleted; avila model list shows them"
            raise ModelNotFoundError(name, reason, hint)
        model = _cached(name)
        confirm(f"Delete {model.folder} ({gigabytes(_size(model.folder))})?", yes)
        freed = hub.remove_model(model)
    print(f"{gigabytes(freed)} are free again", file=sys.stderr)


@models.command()
def verify(context: typer.Context, name: Name, *, debug: options.Debug = False) -> None:
    """Check a model: hashes, configs, tokenizers, every tensor's name, shape and numbers.

    Exit status 0: sound. 1: a file has changed since it was downloaded. 2: it cannot be used.
    """
    with reporting(context, debug):
        cached = None if Path(name).exists() or name == BUNDLED else _cached(name)
        checked = list(hub.verify_hashes(cached)) if cached else []
        broken = [file for file, sound in checked if sound is False]
        for file in broken:
            complain(f"{file}: its content is not what was downloaded; pull the model again")
        if broken:
            raise typer.Exit(_FAILED)
        model = _opened(name)
        opened = check_weights(model)
        if not isinstance(model, ModelFile):
            load_tokenizers(model)
        places = [(part, name) for part, weights in opened.items() for name in weights.entries]
        check_finite(opened, slowly(places, "reading"))
    hashed = sum(sound is True for _, sound in checked)
    print(f"{hashed} files have their hashes" if checked else "no hashes are known")
    for part, weights in opened.items():
        print(f"{part}: {len(weights.entries)} tensors fit, all numbers finite")


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def gigabytes(size: int) -> str:
    """``3.44 GB``, or megabytes for less than one."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def offer_lines(offer: hub.Offer) -> Iterator[str]:
    """What is told before a download."""
    yield f"model: {offer.name} ({offer.revision}, {offer.commit[:10]})"
    yield f"licence: {offer.licence}{' (gated: its terms must be accepted)' if offer.gated else ''}"
    there = offer.size - offer.missing
    known = f", {gigabytes(there)} of it here already" if there else ""
    yield f"size: {gigabytes(offer.size)} in {len(offer.files)} files{known}"


def confirm(question: str, yes: bool) -> None:
    """Ask unless ``yes``. Raises `SettingsError` where nobody can answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise SettingsError("--yes", "left out", "nobody is here to answer, so give it")
    if not typer.confirm(question, err=True):
        raise typer.Exit(_FAILED)


def _cached(name: str) -> hub.CachedModel:
    model = hub.cached_model(name)
    if model is None:
        hint = "avila model list shows what is there"
        raise ModelNotFoundError(name, "is not in the cache", hint)
    return model


def _opened(name: str) -> ModelFolder:
    """The model; a single file, which has no tokenizer to look at, borrows the bundled one's."""
    return open_model(named_model(name), tokenizer=bundled_model() / "tokenizer")


def _parts(model: ModelFolder) -> tuple[Part, ...]:
    return (*model.text_encoders, "unet", "vae")


def _facts(model: ModelFolder) -> Iterator[tuple[str, object]]:
    """What is told of a model."""
    yield "path", str(model.path)
    yield "layout", "single file" if isinstance(model, ModelFile) else "folder"
    yield "pipeline", model.json("model_index.json")[0]["_class_name"]
    yield "predicts", model.scheduler.prediction_type
    yield "size", f"{model.unet.sample_size * model.vae.downscale} pixels"
    yield "text width", model.unet.cross_attention_dim
    for part in _parts(model):
        entries = model.weights(part).entries.values()
        types = "/".join(sorted({entry.dtype for entry in entries}))
        size = sum(entry.nbytes for entry in entries)
        yield part, f"{len(entries)} tensors, {types}, {gigabytes(size)}"

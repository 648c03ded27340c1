"""``avila model``: list, show, download, delete and check models."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from diffusion.checkpoints import ModelFile, ModelFolder, TensorEntry, hub, open_model
from diffusion.checkpoints.bundled import BUNDLED, bundled_model, named_model
from diffusion.checkpoints.hub.cache import bytes_of
from diffusion.checkpoints.model_folder import Part
from diffusion.checkpoints.single_file.unet_file import ModelWithUnet, is_unet_alone
from diffusion.checkpoints.tensor_files import MODEL_ENDS
from diffusion.checkpoints.verify import check_finite, check_weights
from diffusion.cli.app import app, complain, reporting
from diffusion.cli.options.groups import with_groups
from diffusion.cli.options.shared import DebugOption, JsonOption
from diffusion.cli.progress import show_download, show_progress
from diffusion.errors import ModelFormatError, ModelNotFoundError, SettingsError, quote
from diffusion.pipeline.loading import load_tokenizers

__all__ = ["models"]

models = typer.Typer(name="model", help="List, show, download, delete and check models.")
app.add_typer(models, no_args_is_help=True)

_FAILED = 1

NameArgument = Annotated[
    str,
    typer.Argument(
        help="owner/name or owner/name/FILE as on the Hugging Face Hub, or a path.",
        show_default=False,
    ),
]
RevisionOption = Annotated[str, typer.Option("--revision", help="A branch, a tag or a commit.")]
VariantOption = Annotated[
    str | None,
    typer.Option(
        "--variant",
        metavar="NAME",
        help="plain or fp16 weights. fp16 weights are half as large.",
        show_default="fp16 where the model has them",
    ),
]
UnetOption = Annotated[
    str | None,
    typer.Option(
        "--unet",
        metavar="FILE",
        help="The file of a UNet alone, which takes the place of this model's own.",
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@models.command("list")
def list_models(
    context: typer.Context, *, as_json: JsonOption = False, debug: DebugOption = False
) -> None:
    """List the bundled model and those in the Hugging Face cache."""
    with reporting(context, debug):
        rows = [(BUNDLED, "bundled", bytes_of(bundled_model()), bundled_model())]
        rows += [(m.name, m.licence, m.size, m.path) for m in hub.cached_models()]
    if as_json:
        keys = ("name", "licence", "bytes", "path")
        print(json.dumps([dict(zip(keys, (*row[:3], str(row[3])), strict=True)) for row in rows]))
        return
    table = Table("model", "licence", "size", "path", box=None)
    for name, licence, size, path in rows:
        table.add_row(Text(name), Text(licence), size_text(size), Text(str(path)))
    Console(soft_wrap=True).print(table)


@models.command("show")
def show_model(
    context: typer.Context,
    name: NameArgument,
    *,
    unet: UnetOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Show what a model is: its kind, its parts and their sizes."""
    with reporting(context, debug):
        facts = dict(_facts(_open_model(name, unet)))
    if as_json:
        print(json.dumps(facts))
    else:
        for key, value in facts.items():
            print(f"{key}: {value}")


@models.command("pull")
@with_groups
def download_model(
    context: typer.Context,
    name: NameArgument,
    *,
    revision: RevisionOption = "main",
    variant: VariantOption = None,
    yes: YesOption = False,
    debug: DebugOption = False,
) -> None:
    """Download a model from the Hugging Face Hub into the cache that other tools share.

    Licence and size are shown first. A download that was stopped continues where it was.
    """
    with reporting(context, debug):
        offer = hub.fetch_offer(name, revision, variant)
        for line in offer_lines(offer):
            print(line, file=sys.stderr)
        if offer.missing:
            confirm(f"Download {size_text(offer.missing)}?", yes)
        with show_download({file.name: file.size for file in offer.files}) as progress:
            path = hub.pull(offer, progress)
    print(path)


@models.command("rm")
def delete_model(
    context: typer.Context,
    name: NameArgument,
    *,
    yes: YesOption = False,
    debug: DebugOption = False,
) -> None:
    """Delete a model from the cache."""
    with reporting(context, debug):
        if name == BUNDLED or Path(name).exists():
            reason = "comes with the package" if name == BUNDLED else "is a path, not a name"
            hint = "only downloaded models are deleted; avila model list shows them"
            raise ModelNotFoundError(name, reason, hint)
        model = _cached_model(name)
        confirm(f"Delete {model.folder} ({size_text(bytes_of(model.folder))})?", yes)
        freed = hub.remove_model(model)
    print(f"{size_text(freed)} are free again", file=sys.stderr)


@models.command("verify")
def check_model(
    context: typer.Context,
    name: NameArgument,
    *,
    unet: UnetOption = None,
    debug: DebugOption = False,
) -> None:
    """Check a model: hashes, configs, tokenizers, and the name, shape and numbers of every tensor.

    Exit status 0: the model is sound. 1: a file has changed since it was downloaded. 2: the model
    cannot be used.
    """
    with reporting(context, debug):
        cached = None if Path(name).exists() or name == BUNDLED else _cached_model(name)
        checked = list(hub.verify_hashes(cached)) if cached else []
        broken = [file for file, sound in checked if sound is False]
        for file in broken:
            complain(f"{file}: its content is not what was downloaded; pull the model again")
        if broken:
            raise typer.Exit(_FAILED)
        model = _open_model(name, unet)
        opened = check_weights(model)
        if not named_model(name).is_file():
            load_tokenizers(model)
        places = [(part, name) for part, weights in opened.items() for name in weights.entries]
        check_finite(opened, show_progress(places, "reading"))
    hashed = sum(sound is True for _, sound in checked)
    print(f"{hashed} files have their hashes" if checked else "no hashes are known")
    for part, weights in opened.items():
        print(f"{part}: {len(weights.entries)} tensors fit, all numbers finite")


def size_text(size: int) -> str:
    """Return a size as ``3.44 GB``, or in megabytes where it is less than one gigabyte."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def offer_lines(offer: hub.Offer) -> Iterator[str]:
    """Yield the lines that are printed before a download."""
    yield f"model: {offer.name} ({offer.revision}, {offer.commit[:10]})"
    yield f"licence: {offer.licence}{' (gated: its terms must be accepted)' if offer.gated else ''}"
    present = offer.size - offer.missing
    already = f", {size_text(present)} of it here already" if present else ""
    yield f"size: {size_text(offer.size)} in {len(offer.files)} files{already}"


def confirm(question: str, yes: bool) -> None:
    """Ask, unless ``yes``, and exit where the answer is no.

    Raises `SettingsError` where nobody can answer.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise SettingsError("--yes", None, "give it, since nobody can answer here")
    if not typer.confirm(question, err=True):
        raise typer.Exit(_FAILED)


def _cached_model(name: str) -> hub.CachedModel:
    """Return a downloaded model. Raises `ModelNotFoundError`."""
    model = hub.cached_model(name)
    if model is None:
        hint = "avila model list shows what is there"
        raise ModelNotFoundError(name, "is not in the cache", hint)
    return model


def _open_model(name: str, unet: str | None) -> ModelFolder:
    """Open a model, with a UNet in place of its own.

    A single file has no tokenizer to check, and gets that of the bundled model. The file of a UNet
    alone is refused with the command that takes it.
    """
    path = named_model(name)
    if path.is_file() and path.suffix.lower() in MODEL_ENDS and is_unet_alone(path):
        hint = f"name its base model, and this file after it: BASE --unet {quote(path.name)[1:-1]}"
        raise ModelFormatError(path, "names", "must be a whole model, got a UNet alone", hint)
    tokenizer = bundled_model() / "tokenizer" if path.is_file() else None
    return open_model(path, tokenizer=tokenizer, unet=unet)


def _facts(model: ModelFolder) -> Iterator[tuple[str, object]]:
    """Yield what is printed of a model."""
    yield "path", str(model.path)
    if isinstance(model, ModelWithUnet):
        yield "unet of", str(model.weights("unet").path)
    whole = model.base if isinstance(model, ModelWithUnet) else model
    yield "layout", "single file" if isinstance(whole, ModelFile) else "folder"
    yield "pipeline", model.json("model_index.json")[0]["_class_name"]
    yield "predicts", model.scheduler.prediction_type
    yield "size", f"{model.unet.sample_size * model.vae.downscale} pixels"
    yield "text width", model.unet.cross_attention_dim
    parts: tuple[Part, ...] = (*model.text_encoders, "unet", "vae")
    for part in parts:
        entries = model.weights(part).entries.values()
        size = sum(entry.nbytes for entry in entries)
        yield part, f"{len(entries)} tensors, {_types_text(entries)}, {size_text(size)}"
    for name, keys in model.notes().items():
        yield f"{name}, without effect", ", ".join(keys)


def _types_text(entries: Collection[TensorEntry]) -> str:
    """Return the types of tensors, those of most bytes first; sizes where there are several."""
    sizes: Counter[str] = Counter()
    for entry in entries:
        sizes[entry.dtype] += entry.nbytes
    if len(sizes) == 1:
        return next(iter(sizes))
    return " + ".join(f"{name} {size_text(size)}" for name, size in sizes.most_common())

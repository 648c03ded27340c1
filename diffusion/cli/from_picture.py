"""``--from PICTURE``: what the text of an earlier picture says, and which networks it names.

The text is as hostile as the file. Names of models in it are compared and never looked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from diffusion.adapters import LoraFolder, hash_of_file
from diffusion.adapters.tags import read_tags, replace_names
from diffusion.cli.app import complain
from diffusion.cli.options.parsing import MAX_DIGITS
from diffusion.control import ControlFolder
from diffusion.errors import SettingsError, quote
from diffusion.infotext.controls import CONTROL_KEY, is_image_prompt, pictures_of
from diffusion.infotext.files import read_infotext
from diffusion.infotext.grammar import parse_infotext
from diffusion.infotext.to_settings import DTYPE, LORA_MODE, WEIGHTS
from diffusion.infotext.unreproduced import unreproduced_settings
from diffusion.settings import Settings
from diffusion.tasks import is_network_upscaler
from diffusion.text.inversions import InversionFolder, TextualInversion, hash_of_inversion
from diffusion.upscaling import UpscalerFolder

__all__ = [
    "dtype_of",
    "find_earlier_controls",
    "find_earlier_image_prompts",
    "find_earlier_inversions",
    "find_earlier_loras",
    "find_earlier_upscaler",
    "lora_mode_of",
    "read_picture_text",
    "refiner_switch_of",
    "report_earlier_pictures",
    "report_other_networks",
    "report_unreproduced",
    "weights_of",
]

_HASH: Final = re.compile(r":\s?([0-9a-fA-F]{1,64})\s?(?:,|$)")
"""What ends a name, which may have commas in it."""


def read_picture_text(picture: Path) -> str:
    """Return the text in a picture's file. Raises `SettingsError` where it has no settings."""
    text = read_infotext(picture, "from")
    if text is None or not parse_infotext(text).settings:
        raise SettingsError("from", str(picture), "must be a picture whose text has settings")
    return text


def dtype_of(text: str) -> str | None:
    """Return the ``--dtype`` that a picture's text names, if any; it is not checked."""
    return parse_infotext(text).settings.get(DTYPE)


def weights_of(text: str) -> str | None:
    """Return the ``--weights`` that a picture's text names, if any; it is not checked."""
    return parse_infotext(text).settings.get(WEIGHTS)


def lora_mode_of(text: str) -> str | None:
    """Return the ``--lora-mode`` that a picture's text names, if any; it is not checked."""
    return parse_infotext(text).settings.get(LORA_MODE)


def refiner_switch_of(text: str) -> float | None:
    """Return the ``--refiner-switch`` in a picture's text, or None where there is no number."""
    try:
        return float(parse_infotext(text).settings.get("Refiner switch at", "")[:MAX_DIGITS])
    except ValueError:
        return None


def report_other_networks(text: str, provenance: Mapping[str, Mapping[str, str]]) -> None:
    """Print a line for each network in a picture's text that is not the one that was loaded.

    ``provenance``: names and hashes of the ``model``, and of the ``vae`` and the ``refiner`` where
    they were given.
    """
    found = parse_infotext(text).settings
    refiner = found.get("Refiner")
    refiner_hash = refiner and refiner.rpartition("[")[2].rstrip("]")
    hires = found.get("Hires checkpoint")
    hires_hash = hires and hires.rpartition("[")[2].rstrip("]")
    for part, name, expected_hash, without in (
        ("model", found.get("Model", ""), found.get("Model hash"), ""),
        ("VAE", found.get("VAE", ""), found.get("VAE hash"), "the model's own; give --vae"),
        ("refiner", refiner, refiner_hash, "the model alone; give --refiner"),
        ("hires checkpoint", hires, hires_hash, "the model itself in both passes"),
    ):
        loaded = provenance.get(part.lower())
        if expected_hash is not None and (loaded is None or loaded["hash"] != expected_hash):
            named = f"{quote(name)} ({quote(expected_hash, 20)})"
            drawn_by = "{name} ({hash})".format(**loaded) if loaded else without
            complain(f"the picture names another {part}, {named}; drawn by {drawn_by}")


def find_earlier_loras(settings: Settings, text: str, folder: LoraFolder) -> Settings:
    """Return ``settings`` whose prompt names files of ``folder``, by names and hashes in ``text``.

    A tag whose file is missing is removed. Prints a line for each that is missing or another one.
    """
    if not folder:
        return settings
    hashes = dict(_read_hashes(parse_infotext(text).settings.get("Lora hashes", "")))
    names: dict[str, str | None] = {}
    for name in dict.fromkeys(str(each.file) for each in read_tags(settings.prompt)):
        expected, files = hashes.get(name), folder.matches(name)
        if len(files) == 1 and expected in (None, hash_of_file(files[0])):
            continue
        other = folder.find_hash(expected) if expected else None
        named = f"the LoRA {quote(name)}" + (f" ({quote(expected, 20)})" if expected else "")
        if other is not None:
            names[name] = other
            complain(f"the picture names {named}; here it is {quote(other)}")
        elif len(files) == 1:
            complain(f"the picture names {named}; drawn with another file of that name")
        else:
            names[name] = None
            complain(f"the picture names {named}, which is not in --loras; drawn without it")
    return replace(settings, prompt=replace_names(settings.prompt, names))


def find_earlier_inversions(settings: Settings, text: str, folder: InversionFolder) -> Settings:
    """Return ``settings`` with the files of the words that ``text`` names, by names and hashes.

    Prints a line for each word that is missing, or that is another one here.
    """
    given = {_plain_word(each.name): Path(each.file) for each in settings.inversions}
    found = list(settings.inversions)
    words = {_plain_word(word): paths for word, paths in folder.words.items()}
    for name, expected in _read_hashes(parse_infotext(text).settings.get("TI hashes", "")):
        word = _plain_word(name)
        files = [given[word]] if word in given else words.get(word, [])
        if len(files) == 1 and expected == hash_of_inversion(files[0]):
            continue
        named = f"the embedding {quote(name)} ({quote(expected, 20)})"
        other = folder.find_hash(expected)
        if other is not None:
            found.insert(0, TextualInversion(other, name))
            complain(f"the picture names {named}; here it is {quote(other.name)}")
        elif files:
            complain(f"the picture names {named}; drawn with another file of that name")
        else:
            where = "not in --embeddings; its name is drawn as text"
            complain(f"the picture names {named}, which is {where}")
    return replace(settings, inversions=tuple(found))


def find_earlier_controls(settings: Settings, folder: ControlFolder) -> Settings:
    """Return ``settings`` without the controls whose picture or network is not given here.

    Prints a line for each of those.
    """
    found = []
    for number, each in enumerate(settings.controls):
        network = quote(str(each.model))
        named = f"the picture was led by another one (ControlNet {number}, {network})"
        if each.image is None and settings.init_image is None:
            complain(f"{named}; give it (--control), drawn without")
        elif not each.is_path and not folder.has(str(each.model)):
            complain(f"{named}, which is not in --controls; drawn without it")
        else:
            found.append(each)
    return replace(settings, controls=tuple(found))


def find_earlier_image_prompts(settings: Settings, folder: ControlFolder) -> Settings:
    """Return ``settings`` without the image prompts whose pictures or adapter are not given here.

    Prints a line for each of those.
    """
    found = []
    for each in settings.image_prompts:
        named = f"the picture was prompted by others ({quote(str(each.model))})"
        if not each.images:
            complain(f"{named}; give them (--ip-image), drawn without")
        elif not all(map(folder.has, each.names)):
            complain(f"{named}, through what is not in --controls; drawn without it")
        else:
            found.append(each)
    return replace(settings, image_prompts=tuple(found))


def report_earlier_pictures(settings: Settings, text: str) -> None:
    """Print a line for each region, mask or negative picture that is not given again.

    ``settings``: before controls and image prompts are left out that are not here.
    """
    texts = parse_infotext(text).settings
    units = [key for key in texts if CONTROL_KEY.fullmatch(key)]
    controls = [key for key in units if not is_image_prompt(texts[key])]
    prompts = [key for key in units if is_image_prompt(texts[key])]
    found: list[tuple[str, str, object]] = [
        *((key, "control", each) for key, each in zip(controls, settings.controls, strict=False)),
        *((key, "ip", each) for key, each in zip(prompts, settings.image_prompts, strict=False)),
    ]
    for key, option, unit in found:
        for name in pictures_of(texts[key]):
            if getattr(unit, name, None) is None:
                complain(f"the picture had a {name} for {key}; give it (--{option}-{name})")


def find_earlier_upscaler(settings: Settings, folder: UpscalerFolder) -> Settings:
    """Return ``settings`` with an upscaler that is here. Prints a line where that is another one.

    A path was typed, and is checked like any other.
    """
    hires = settings.hires
    if hires is None or isinstance(hires.upscaler, Path):
        return settings
    if not is_network_upscaler(hires.upscaler) or folder.has(hires.upscaler):
        return settings
    where = "not in --upscalers" if folder.folder is not None else "a network (give --upscalers)"
    named = f"the upscaler {quote(hires.upscaler)}"
    complain(f"the picture names {named}, which is {where}; drawn with lanczos")
    return replace(settings, hires=replace(hires, upscaler="lanczos"))


def _plain_word(name: str) -> str:
    """Return a word as a picture's text has it: without commas and colons, in small letters."""
    return name.replace(",", "").replace(":", "").strip().lower()


def _read_hashes(text: str) -> Iterator[tuple[str, str]]:
    """Yield names and hashes of a text such as ``a: 0123456789ab, b: ba9876543210``."""
    begin = 0
    for found in _HASH.finditer(text):
        yield text[begin : found.start()].strip(), found[1]
        begin = found.end()


def report_unreproduced(text: str, given: Collection[str] = ()) -> None:
    """Print a line that names the settings in a picture's text that have no effect here.

    ``given``: keys of those that are given in another way.
    """
    found = parse_infotext(text)
    rest = {key: value for key, value in found.settings.items() if key not in given}
    left = unreproduced_settings(replace(found, settings=rest))
    if left:
        complain(f"not reproduced: {'; '.join(left)}")

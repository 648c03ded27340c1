"""Pictures of ComfyUI, InvokeAI and others: their JSON as infotext, and hostile JSON."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from diffusion.errors import SettingsError
from diffusion.infotext.files import read_infotext
from diffusion.infotext.foreign import convert_metadata
from diffusion.infotext.grammar import parse_infotext, write_infotext
from diffusion.infotext.to_settings import settings_from_infotext
from tests.diffusion.infotext.foreign_texts import COMFY, COMFY_CUSTOM, FOREIGN, comfy_node

SIZE = (24, 16)


def save_png(path: Path, texts: dict[str, str]) -> Path:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    Image.new("RGB", SIZE).save(path, pnginfo=info)
    return path


@pytest.mark.parametrize("name", FOREIGN)
def test_settings_of_other_programs(tmp_path: Path, name: str) -> None:
    texts, prompt, negative, settings = FOREIGN[name]
    text = read_infotext(save_png(tmp_path / "a.png", texts))
    assert text is not None
    found = parse_infotext(text)
    assert (found.prompt, found.negative) == (prompt, negative)
    assert dict(found.settings) == settings


@pytest.mark.parametrize("name", FOREIGN)
def test_they_can_be_drawn_again(name: str) -> None:
    texts, prompt, negative, _ = FOREIGN[name]
    foreign = convert_metadata(texts, SIZE)
    assert foreign is not None
    assert foreign.infotext is not None
    settings = settings_from_infotext(foreign.infotext)
    assert (settings.prompt, settings.negative) == (prompt, negative)
    settings.check()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_comfyui_in_exif(tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x10F], exif[0x110] = "workflow:{}", "prompt:" + json.dumps(COMFY)
    Image.new("RGB", SIZE).save(tmp_path / "a", kind, exif=exif)
    text = read_infotext(tmp_path / "a")
    assert text is not None
    assert parse_infotext(text).settings["Seed"] == "156680208700286"


def test_the_webui_s_form_goes_first(tmp_path: Path) -> None:
    own = write_infotext("a", "", {"Steps": 1, "Seed": 2, "Sampler": "Euler"})
    path = save_png(tmp_path / "a.png", {"parameters": own, "prompt": json.dumps(COMFY)})
    assert read_infotext(path) == own


@pytest.mark.parametrize(
    ("texts", "program"),
    [
        ({"prompt": "{}", "workflow": "{}"}, "ComfyUI"),
        ({"prompt": json.dumps({"1": comfy_node("LoadImage", image="a")})}, "ComfyUI"),
        ({"workflow": "{}"}, "ComfyUI"),
        ({"prompt": "{" * 100_000}, "ComfyUI"),
        ({"prompt": "[" * 900_000}, "ComfyUI"),
        ({"invokeai_metadata": "[]"}, "InvokeAI"),
        ({"Dream": "no quotes"}, "InvokeAI"),
        ({"Software": "NovelAI", "Comment": "{}"}, "NovelAI"),
        ({"XML:com.adobe.xmp": "<exif:UserComment>"}, "Draw Things"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, texts: dict[str, str], program: str) -> None:
    with pytest.raises(SettingsError, match=f"{program} made it"):
        read_infotext(save_png(tmp_path / "a.png", texts))


def test_a_graph_with_cycles_ends() -> None:
    graph: dict[str, Any] = {str(i): comfy_node("X", a=[str(i + 1), 0]) for i in range(1999)}
    graph["1999"] = comfy_node(
        "KSampler", seed=1, steps=2, cfg=3, model=["0", 0], positive=["0", 0]
    )
    graph["1999"]["inputs"]["latent_image"] = ["1999", 0]
    start = time.process_time()
    foreign = convert_metadata({"prompt": json.dumps(graph)}, SIZE)
    assert foreign is not None
    assert foreign.infotext is not None
    assert time.process_time() - start < 5  # a hang guard: it takes some milliseconds


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


@given(st.data())
def test_damaged_json_is_converted_or_left(data: st.DataObject) -> None:
    """Replace random parts of a known text by random JSON; nothing but a result comes out."""
    texts = dict(data.draw(st.sampled_from([case[0] for case in FOREIGN.values()])))
    key = data.draw(st.sampled_from(sorted(texts)))
    try:
        value = json.loads(texts[key])
    except ValueError:
        value = texts[key]
    chooser = random.Random(data.draw(st.integers(0, 2**32)))
    for _ in range(chooser.randrange(1, 5)):
        value = _damage(value, chooser, data.draw(JSON))
    texts[key] = json.dumps(value)
    foreign = convert_metadata(texts, SIZE)
    if foreign is not None and foreign.infotext is not None:
        parse_infotext(foreign.infotext)


def _damage(value: Any, chooser: random.Random, part: Any) -> Any:
    if isinstance(value, dict) and value and chooser.random() < 0.9:
        key = chooser.choice(sorted(value))
        return value | {key: _damage(value[key], chooser, part)}
    if isinstance(value, list) and value and chooser.random() < 0.9:
        place = chooser.randrange(len(value))
        return [*value[:place], _damage(value[place], chooser, part), *value[place + 1 :]]
    return part


def test_links_as_names_of_nodes() -> None:
    graph = COMFY_CUSTOM | {"14": comfy_node("PrimitiveString", value=["14", 0])}
    foreign = convert_metadata({"prompt": json.dumps(graph)}, SIZE)
    assert foreign is not None
    assert foreign.infotext is not None
    assert parse_infotext(foreign.infotext).negative == ""

"""Names and shapes of the published adapters and encoders, without weights."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from diffusion.checkpoints.image_prompts.encoders import derive_config
from diffusion.checkpoints.safetensors import TensorEntry
from diffusion.models.image_prompts import (
    ClipVisionConfig,
    ClipVisionModel,
    IpAdapter,
    IpAdapterConfig,
    ResamplerConfig,
    cross_places,
)
from diffusion.models.unet import UNet
from tests.diffusion.control.test_opening import full_size_unet
from tests.goldens import image_prompt_cases as cases


def places_of(family: str) -> tuple[list[int], list[str], list[int]]:
    """Return widths in the file's order, and sides and depths of transformers as computed."""
    found = cross_places(UNet(full_size_unet(family)))
    sides = {each.transformer: each.side for each in found}
    depths = [sum(each.transformer == n for each in found) for n in sorted(sides)]
    return [each.width for each in found], [sides[n] for n in sorted(sides)], depths


@pytest.mark.parametrize(("family", "name"), [("sd1", "sd15"), ("sdxl", "sdxl")])
def test_attentions_stand_in_the_order_of_files(family: str, name: str) -> None:
    widths, sides, depths = places_of(family)
    assert widths == cases.saved(f"widths.{name}")
    if name == "sd15":
        assert sides == ["input"] * 6 + ["middle"] + ["output"] * 9
    else:
        assert sides == ["input"] * 4 + ["middle"] + ["output"] * 6
        assert depths == [2, 2, 10, 10, 10, 10, 10, 10, 2, 2, 2]


PLUS = ResamplerConfig(768, 768, 4, 3072), ResamplerConfig(1280, 1280, 4, 5120)


@pytest.mark.parametrize(
    ("family", "config", "millions", "last"),
    [
        ("sd1", ("base", 1024, 4, 768, None), 22.3, 31),
        ("sd1", ("plus", 1280, 16, 768, PLUS[0]), 49.0, 31),
        ("sd1", ("full", 1280, 0, 768, None), 21.8, 31),
        ("sdxl", ("base", 1280, 4, 2048, None), 351.3, 139),
        ("sdxl", ("base", 1024, 4, 2048, None), 349.2, 139),
        ("sdxl", ("plus", 1280, 16, 2048, PLUS[1]), 423.8, 139),
    ],
)
def test_adapters_have_the_published_sizes(
    family: str,
    config: tuple[str, int, int, int, ResamplerConfig | None],
    millions: float,
    last: int,
) -> None:
    kind, inputs, tokens, context, resampler = config
    widths = tuple(places_of(family)[0])
    network = IpAdapter(IpAdapterConfig(kind, inputs, tokens, context, widths, resampler))  # type: ignore[arg-type]
    shapes = {name: each.shape for name, each in network.parameters()}
    assert sum(map(math.prod, shapes.values())) / 1e6 == pytest.approx(millions, abs=0.1)
    numbers = [int(n.split(".")[1]) for n in shapes if n.endswith(".to_k_ip.weight")]
    assert numbers == list(range(1, last + 1, 2))


@pytest.mark.parametrize(("name", "millions"), [("vit_h", 632.1), ("vit_bigg", 1844.9)])
def test_encoders_have_the_published_parameters(name: str, millions: float) -> None:
    shapes = {key: tuple(shape) for key, shape in cases.saved(name).items()}
    entries = {key: TensorEntry("F16", shape, 0, 0) for key, shape in shapes.items()}
    config = derive_config(entries, Path("clip.safetensors"))
    assert config == ClipVisionConfig.from_json(cases.FULL_ENCODERS[name], "config.json")
    network = ClipVisionModel(config)
    assert {key: each.shape for key, each in network.parameters()} == shapes
    assert sum(map(math.prod, shapes.values())) / 1e6 == pytest.approx(millions, abs=0.1)

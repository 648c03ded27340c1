"""Weights of blocks and caps of ranks: which layers change, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion import Pipeline, Settings
from diffusion.adapters import Lora, LoraFolder
from diffusion.adapters.block_weights import block_ratio, read_blocks, slot_of
from diffusion.adapters.element_weights import LayerWeights
from diffusion.checkpoints.safetensors import open_safetensors
from diffusion.checkpoints.single_file.module_names import unet_names
from diffusion.errors import SettingsError
from diffusion.models.module import Module
from diffusion.pipeline.networks import Networks
from gpucore import Device
from tests.diffusion.adapters.test_pipeline_loras import write_lora
from tests.diffusion.golden_families import networks
from tests.goldens.loader import relative_error

SETTINGS = Settings("a red apple", width=32, height=32, steps=1, guidance=3.0, seed=5)
BLOCKS_12 = (0.5, 1.0, 0.0, 0.25, 0.0, 2.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.75)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("INS", None, 1.0),
        ("INS", "input_blocks.4.1.proj_in.weight", 1.0),
        ("INS", "input_blocks.5.1.proj_in.weight", 0.0),
        ("IND", "input_blocks.5.1.proj_in.weight", 1.0),
        ("MIDD", "middle_block.1.proj_in.weight", 1.0),
        ("MIDD", "output_blocks.6.1.proj_in.weight", 1.0),
        ("MIDD", "output_blocks.7.1.proj_in.weight", 0.0),
        ("OUTALL", "output_blocks.11.1.proj_in.weight", 1.0),
        ("ALL0.5", "input_blocks.2.0.in_layers.2.weight", 0.5),
        ("ALL", "input_blocks.3.0.op.weight", 0.0),
        ("ALL", "output_blocks.2.1.conv.weight", 0.0),
        ("NONE", "time_embed.0.weight", 1.0),
        ("NONE", "out.2.weight", 1.0),
        (",".join(["0"] * 12 + ["7"] + ["0"] * 13), "input_blocks.11.0.emb.weight", 7.0),
        (",".join(["0"] * 25 + ["7"]), "output_blocks.11.0.emb.weight", 7.0),
        (",".join(["0"] * 5 + ["7"] + ["0"] * 6), "middle_block.0.emb.weight", 7.0),
        (",".join(["0"] * 19 + ["7"]), "output_blocks.8.0.emb.weight", 7.0),
    ],
)
def test_layers_have_the_weights_of_their_blocks(
    text: str, name: str | None, expected: float
) -> None:
    assert block_ratio(read_blocks("tag", text), slot_of(name)) == expected


ATTN_1 = "input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight"
ATTN_2 = "output_blocks.5.1.transformer_blocks.0.attn2.to_k.weight"
MLP = "middle_block.1.transformer_blocks.0.ff.net.0.proj.weight"
TEXT = "text_model.encoder.layers.3.self_attn.q_proj.weight"


@pytest.mark.parametrize(
    ("rules", "ratios"),
    [
        ("ATTNDEEPON", (0.5, 1.0, 0.5, 0.5)),
        ("attndeepoff", (0.5, 0.0, 0.5, 0.5)),
        ("PROJDEEPOFF", (0.5, 0.5, 0.0, 0.5)),
        ("::2", (2.0, 2.0, 2.0, 2.0)),
        (":attn1:2", (2.0, 0.5, 0.5, 0.5)),
        (":attn1 ff_net:2", (2.0, 0.5, 2.0, 0.5)),
        (":NOT attn:2", (0.5, 0.5, 2.0, 0.5)),
        ("BASE::2", (0.5, 0.5, 0.5, 2.0)),
        ("NOT BASE::2", (2.0, 2.0, 2.0, 0.5)),
        ("NOT IN00-IN11 M00::2", (0.5, 2.0, 0.5, 2.0)),
        ("OUT05-IN05::2", (0.5, 2.0, 2.0, 0.5)),
        ("IN::2, OUT:to_k:3", (2.0, 3.0, 0.5, 0.5)),
        ("IN;;2,IN04;to_q;-1", (-1.0, 0.5, 0.5, 0.5)),
    ],
)
def test_the_last_rule_that_fits_gives_the_weight(rules: str, ratios: tuple[float, ...]) -> None:
    """In place of the blocks' weight, which is 0.5 here, as `ratiodealer` of the extension does."""
    weights = LayerWeights((0.5,) * 26, rules)
    found = [weights.ratio("", name) for name in (ATTN_1, ATTN_2, MLP)]
    assert (*found, weights.ratio(TEXT, None)) == ratios
    assert LayerWeights(None, ":attn9:2").ratio("", "time_embed.0.weight") == 1.0
    assert LayerWeights(None, ":time:2").ratio("", "time_embed.0.weight") == 2.0


@pytest.fixture
def pipeline(device: Device, tmp_path: Path) -> Iterator[Pipeline]:
    nets = networks(device, "xl_base")
    write_lora(tmp_path / "a.safetensors", nets, "a")
    found = Pipeline(nets, loras=LoraFolder(tmp_path), lora_mode="merge")
    yield found
    with found.loras.use(SETTINGS):
        found.release()


def weights_of(network: Module) -> dict[str, NDArray[np.floating]]:
    """Return the weights of small projections, which are stored as they are."""
    return {
        name: parameter.buffer.read()
        for name, parameter in network.parameters()
        if name.endswith(("attn2.to_k.weight", "conv_in.weight", "fc1.weight"))
    }


def changes(pipeline: Pipeline, lora: Lora) -> dict[str, NDArray[np.floating]]:
    """Return what an adapter adds to the UNet's and the text encoders' weights."""
    nets: Networks = pipeline.networks
    parts = [nets.unet, *(each.network for each in nets.text.encoders)]
    with pipeline.loras.use(SETTINGS):
        before = [weights_of(part) for part in parts]
    with pipeline.loras.use(replace(SETTINGS, loras=(lora,))):
        after = [weights_of(part) for part in parts]
    return {
        f"{number}/{name}": new[name] - old[name]
        for number, (old, new) in enumerate(zip(before, after, strict=True))
        for name in old
    }


@pytest.mark.parametrize("elements", [None, "BASE::0.25,IN05-OUT05:attn1 to_k:-2"])
def test_blocks_are_weighed(pipeline: Pipeline, elements: str | None) -> None:
    whole = changes(pipeline, Lora("a"))
    weighed = changes(pipeline, Lora("a", blocks=BLOCKS_12, elements=elements))
    config = pipeline.networks.folder.unet
    names = unet_names(config.down_block_types, config.up_block_types, config.layers_per_block)
    weights, ratios = LayerWeights(BLOCKS_12, elements), set()
    for key, change in whole.items():
        part, _, name = key.partition("/")
        ratio = weights.ratio(name, names.single(name) if part == "0" else None)
        ratios.add(ratio)
        assert change.any()
        if ratio:
            assert relative_error(weighed[key], ratio * change) < 1e-4, name
        else:
            assert not weighed[key].any(), name
    assert len(ratios) > 3 if elements is None else {0.25, -2.0, 0.0} == ratios


def test_blocks_of_other_models_weigh_those_that_they_name(pipeline: Pipeline) -> None:
    """As in the extension: OUT03 has a number among the 17, and OUT00 has none."""
    lora = Lora("a", blocks=read_blocks("tag", "ALL"))
    with pytest.warns(UserWarning, match="lbw of a has 17 numbers, and 12 or 20 are for SDXL"):
        found = changes(pipeline, lora)
    changed = {bool(each.any()) for each in found.values()}
    assert changed == {False, True}


def test_weights_without_sense_are_refused() -> None:
    for wrong in (
        Lora("a", blocks=(1.0,)),
        Lora("a", rank=0),
        Lora("a", blocks=(1e9,) * 12),
        Lora("a", elements="a\n"),
        Lora("a", elements=",".join([":a:1"] * 101)),
        Lora("a", elements=1),  # type: ignore[arg-type]
    ):
        with pytest.raises(SettingsError, match="lora"):
            replace(SETTINGS, loras=(wrong,)).check()


def test_a_rank_caps_the_matrices(pipeline: Pipeline, tmp_path: Path) -> None:
    """As in the WebUI, the first rows count, and alpha is still divided by all of them."""
    file = open_safetensors(tmp_path / "a.safetensors")
    capped = changes(pipeline, Lora("a", rank=1))
    compared = 0
    for key, change in capped.items():
        part, _, name = key.partition("/")
        prefix = {"0": "lora_unet", "1": "lora_te1", "2": "lora_te2"}[part]
        module = f"{prefix}_{name.removesuffix('.weight').replace('.', '_')}"
        up, down = (file.read(f"{module}.lora_{each}.weight") for each in ("up", "down"))
        if change.ndim != 2 or up.ndim != 2:
            continue
        expected = up[:, :1] @ down[:1]
        found = change if change.shape == expected.shape else change.T
        assert relative_error(found, expected) < 1e-3, name
        compared += 1
    assert compared > 5

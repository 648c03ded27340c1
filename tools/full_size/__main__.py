"""Write a full-size model folder with random weights, references and peers' times beside it.

    python -m tools.full_size FOLDER [--model sd15|sd21|sdxl|refiner] [--compile | --no-peers]

Needs a CUDA device, PyTorch, diffusers and transformers. ``FOLDER/reference.npz`` holds inputs and
fp32 results (TF32 off) of one UNet call with batch 2, of one VAE decoding and of the text
encoders; ``FOLDER/peer.json`` PyTorch's own times in fp16 on the same card: eager, as a CUDA graph
and, with --compile, compiled.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tools.full_size.models import MODELS, Model
from tools.full_size.peers import compiled_rows, peer_rows, unet_arguments
from tools.full_size.random_folder import EMOJI, write_surroundings

BUILDERS = {
    "unet": lambda config: UNet2DConditionModel(**config),
    "vae": lambda config: AutoencoderKL(**config),
    "text_encoder": lambda config: CLIPTextModel(CLIPTextConfig(**config)),
    "text_encoder_2": lambda config: CLIPTextModelWithProjection(CLIPTextConfig(**config)),
}


@torch.no_grad()
def randomize(network: torch.nn.Module, seed: int) -> None:
    """Draw weights of deviation 1/sqrt(fan in), norms 1 +- 0.2, biases 0 +- 0.1, rounded to f16."""
    generator = torch.Generator("cuda").manual_seed(seed)
    for name, value in network.named_parameters():
        noise = torch.randn(value.shape, generator=generator, device="cuda")
        if value.ndim == 1:
            offset = 0.0 if name.endswith("bias") else 1.0
            value.copy_(offset + (0.2 if offset else 0.1) * noise)
        elif "embedding" in name and "time" not in name and "add_embedding" not in name:
            value.copy_(0.1 * noise)
        else:
            value.copy_(noise / value[0].numel() ** 0.5)
        value.copy_(value.half().float())


def build(model: Model, seed: int) -> dict[str, torch.nn.Module]:
    """Load the networks onto the card in fp32."""
    with torch.device("cuda"):
        networks = {part: BUILDERS[part](config) for part, config in model.parts.items()}
    for offset, network in enumerate(networks.values()):
        network.to("cuda").eval()
        randomize(network, seed + offset)
    return networks


def write_folder(folder: Path, model: Model, networks: dict[str, Any]) -> None:
    """Write the diffusers layout; tokenizer and scheduler are the bundled model's."""
    for name, network in networks.items():
        network.half().save_pretrained(folder / name)
        network.float()
    write_surroundings(folder, model)


def random_inputs(model: Model) -> dict[str, torch.Tensor]:
    """Return the inputs of one UNet call at batch 2 and of one decoding, rounded to f16."""
    generator = torch.Generator("cuda").manual_seed(7)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, device="cuda").half().float()

    side = model.size // 8
    inputs = {
        "latents": normal(2, 4, side, side),
        "text": normal(2, 77, model.parts["unet"]["cross_attention_dim"]),
        "code": normal(1, 4, side, side),
    }
    if model.pooled_width:
        inputs["pooled"] = normal(2, model.pooled_width)
    return inputs


@torch.no_grad()
def reference(
    model: Model, networks: dict[str, Any], inputs: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return the networks' results in fp32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    output = networks["unet"](*unet_arguments(model, inputs)).sample
    image = networks["vae"].decode(inputs["code"]).sample
    return {"unet": output, "image": image, **encoded_text(model, networks)}


def encoded_text(model: Model, networks: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return token ids of two texts, each encoder's states as the UNet takes them, pooled text.

    The ids are of the bundled tokenizer, which ends a text with its largest.
    """
    generator = torch.Generator("cuda").manual_seed(9)
    ids = torch.randint(0, 1000, (2, 77), generator=generator, device="cuda")
    vocabulary = json.loads((EMOJI / "tokenizer" / "vocab.json").read_text(encoding="utf-8"))
    ids[:, 0], ids[:, 40:] = vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]
    found = {"ids": ids}
    for name in (part for part in networks if "text" in part):
        result = networks[name](ids, output_hidden_states=True)
        inner = bool(model.pooled_width)
        found[f"{name}_states"] = result.hidden_states[-2] if inner else result.last_hidden_state
        if name == "text_encoder_2":
            found["pooled_text"] = result.text_embeds
    return found


def main() -> None:
    """Make the folder named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.full_size",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=MODELS, default="sd15")
    parser.add_argument("--compile", action="store_true", help="time torch.compile too (minutes)")
    parser.add_argument("--no-peers", action="store_true", help="time nothing")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    model = MODELS[chosen.model]
    networks = build(model, seed=1)
    write_folder(chosen.folder, model, networks)
    inputs = random_inputs(model)
    arrays = {**inputs, **reference(model, networks, inputs)}
    numbers = {name: array.cpu().numpy() for name, array in arrays.items()}
    np.savez(chosen.folder / "reference.npz", **numbers)  # type: ignore[arg-type]
    if chosen.no_peers:
        return
    rows = peer_rows(model, networks, inputs)
    write_peers(chosen.folder, rows)
    for name, seconds in compiled_rows(model, networks, inputs) if chosen.compile else ():
        rows[name]["PyTorch compile"] = seconds
        write_peers(chosen.folder, rows)


def write_peers(folder: Path, rows: dict[str, dict[str, float]]) -> None:
    """Write ``peer.json``; it is written again after each row that took minutes."""
    peer = {"torch": torch.__version__, "card": torch.cuda.get_device_name(), "rows": rows}
    (folder / "peer.json").write_text(json.dumps(peer, indent=2) + "\n")


if __name__ == "__main__":
    main()

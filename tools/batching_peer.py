"""Pictures a minute and latency of diffusers under the load of `tools.batching_load`.

    python -m tools.batching_peer FOLDER [--loads 0.5 0.7] [--rate 5.3] [--json FILE]

Needs a CUDA device, PyTorch and diffusers. The pipeline of diffusers runs eagerly in fp16,
channels last. It takes up to 1 or up to 8 of the pictures that wait, draws them together, and only
then takes the next ones: a batch is fixed while it is drawn. ``--rate``: pictures a second of a
load of 1, as `tools.batching_load` found them at saturation, one at a time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)

from tools.batching_load import arrivals_of

BATCHES = (1, 8)


class Peer:
    """A pipeline of diffusers whose text is encoded before: random embeddings of full size."""

    def __init__(self, folder: Path, size: int, steps: int) -> None:
        half: dict[str, Any] = {"torch_dtype": torch.float16}
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", **half)
        vae = AutoencoderKL.from_pretrained(folder / "vae", **half)
        self.is_xl = unet.config.addition_embed_type == "text_time"
        common = {"vae": vae, "unet": unet, "scheduler": EulerDiscreteScheduler()}
        common |= {"text_encoder": None, "tokenizer": None}
        if self.is_xl:
            common |= {"text_encoder_2": None, "tokenizer_2": None}
            pipeline = StableDiffusionXLPipeline(**common, add_watermarker=False)
        else:
            common |= {"safety_checker": None, "feature_extractor": None}
            pipeline = StableDiffusionPipeline(**common, requires_safety_checker=False)
        self.pipeline = pipeline.to("cuda")
        unet.to(memory_format=torch.channels_last)
        vae.to(memory_format=torch.channels_last)
        self.pipeline.set_progress_bar_config(disable=True)
        self.size, self.steps, self.width = size, steps, unet.config.cross_attention_dim

    def draw(self, count: int) -> None:
        """Draw ``count`` pictures in one batch, to the host's memory."""
        text = torch.randn(count, 77, self.width, device="cuda", dtype=torch.float16)
        given = {"prompt_embeds": text, "negative_prompt_embeds": -text}
        if self.is_xl:
            pooled = torch.randn(count, 1280, device="cuda", dtype=torch.float16)
            given |= {"pooled_prompt_embeds": pooled, "negative_pooled_prompt_embeds": -pooled}
        self.pipeline(
            **given,
            height=self.size,
            width=self.size,
            num_inference_steps=self.steps,
            guidance_scale=7.5,
            output_type="pil",
        )

    def saturation(self, batch: int) -> float:
        """Return pictures a minute when pictures always wait."""
        self.draw(batch)
        begun, count = time.monotonic(), max(1, 8 // batch)
        for _ in range(count):
            self.draw(batch)
        return 60 * count * batch / (time.monotonic() - begun)

    def serve(self, arrivals: Sequence[float], batch: int) -> list[float]:
        """Draw a picture for each arrival (seconds from now); return latencies in seconds."""
        begun, latencies, done = time.monotonic(), list[float](), 0
        while done < len(arrivals):
            time.sleep(max(0.0, begun + arrivals[done] - time.monotonic()))
            now = time.monotonic() - begun
            waiting = sum(arrival <= now for arrival in arrivals[done : done + batch])
            self.draw(max(1, waiting))
            ended = time.monotonic() - begun
            latencies += [ended - arrival for arrival in arrivals[done : done + max(1, waiting)]]
            done += max(1, waiting)
        return latencies


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder that tools.full_size wrote")
    parser.add_argument("--size", type=int, default=512, help="pixels of a side")
    parser.add_argument("--steps", type=int, default=20, help="of each picture")
    parser.add_argument("--rate", type=float, help="pictures a second of load 1; its own without")
    parser.add_argument("--loads", type=float, nargs="*", default=[0.5, 0.7, 0.9, 1.2])
    parser.add_argument("--seconds", type=float, default=12.0, help="of arrivals for each load")
    parser.add_argument("--json", type=Path, help="a file for the results")
    chosen = parser.parse_args()
    peer, rows = Peer(chosen.folder, chosen.size, chosen.steps), list[dict[str, float]]()
    rates = {batch: peer.saturation(batch) for batch in BATCHES}
    print({batch: f"{rate:.1f} pictures/min" for batch, rate in rates.items()}, flush=True)
    for count in range(2, max(BATCHES)):
        peer.draw(count)
    for load in chosen.loads:
        arrivals = arrivals_of(load, chosen.rate or rates[1] / 60, chosen.seconds)
        for batch in BATCHES:
            begun = time.monotonic()
            latencies = peer.serve(arrivals, batch)
            served = 60 * len(latencies) / (time.monotonic() - begun)
            p50, p95 = np.percentile(latencies, [50, 95]).tolist()
            row = {"load": load, "batch": batch, "pictures_a_minute": served, "p50": p50}
            rows.append(row | {"p95": p95})
            print(f"{load:5.2f} {batch:3} {served:10.1f} {p50:7.3f} {p95:7.3f}", flush=True)
    if chosen.json is not None:
        card = {"card": torch.cuda.get_device_name(), "torch": torch.__version__}
        report = {**card, "saturation": rates, "served": rows}
        chosen.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The text ``info`` of an answer: what AUTOMATIC1111 says about the pictures, as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Final

from diffusion.infotext.grammar import parse_infotext
from diffusion.release import version
from diffusion.server.jobs.job import Job

__all__ = ["info_text"]

_SHOWN_ELSEWHERE: Final = {
    "Steps",
    "Sampler",
    "Schedule type",
    "CFG scale",
    "Seed",
    "Size",
    "Model hash",
    "Model",
    "Variation seed",
    "Variation seed strength",
    "Denoising strength",
    "Version",
}


def info_text(jobs: Sequence[Job], grids: Sequence[str], styles: Sequence[str]) -> str:
    """Return the JSON of the finished jobs of a request.

    ``grids``: the texts of grids that stand before the pictures; ``styles``: that were asked for.
    """
    job, pictures = jobs[0], [picture for each in jobs for picture in each.pictures]
    settings, drawn = job.settings, [each for each in jobs for _ in each.pictures]
    variation, part = settings.variation, settings.init_image or settings.hires
    parsed = parse_infotext(pictures[0].infotext if pictures else "")
    fields = parsed.settings
    subseed = variation.seed if variation else 0
    infotexts = [each.infotext for each in pictures]
    resize = variation.resize_from if variation and variation.resize_from else (-1, -1)
    content = {
        "prompt": settings.prompt,
        "all_prompts": [each.settings.prompt for each in drawn],
        "negative_prompt": settings.negative,
        "all_negative_prompts": [each.settings.negative for each in drawn],
        "seed": pictures[0].seed if pictures else settings.seed,
        "all_seeds": [each.seed for each in pictures],
        "subseed": subseed,
        "all_subseeds": [subseed + each.number for each in pictures],
        "subseed_strength": variation.strength if variation else 0,
        "width": pictures[0].width if pictures else settings.width,
        "height": pictures[0].height if pictures else settings.height,
        "sampler_name": fields.get("Sampler", settings.sampler),
        "cfg_scale": settings.guidance,
        "steps": settings.steps,
        "batch_size": settings.batch,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": fields.get("Model", job.model),
        "sd_model_hash": fields.get("Model hash", ""),
        "sd_vae_name": fields.get("VAE"),
        "sd_vae_hash": fields.get("VAE hash"),
        "seed_resize_from_w": resize[0],
        "seed_resize_from_h": resize[1],
        "denoising_strength": part.strength if part else None,
        "extra_generation_params": {
            key: value for key, value in fields.items() if key not in _SHOWN_ELSEWHERE
        },
        "index_of_first_image": len(grids),
        "infotexts": [*grids, *infotexts],
        "styles": list(styles),
        "job_timestamp": time.strftime("%Y%m%d%H%M%S", time.localtime(job.created)),
        "clip_skip": settings.clip_skip,
        "is_using_inpainting_conditioning": False,
        "version": f"Avila {version()}",
    }
    return json.dumps(content)

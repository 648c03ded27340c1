"""`python -m tools.goldens.inversions`: prompts with learned words, encoded by diffusers.

Makes ``inversions.npz``: the embeddings that pipelines with ``load_textual_inversion`` give for the
prompts of `tests/goldens/inversion_cases.py`, in f32. The words' vectors follow from a rule.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

from tests.goldens.family_folders import config, write_family
from tests.goldens.inversion_cases import MODELS, NEGATIVE, PROMPT, WORDS, word_vectors
from tests.goldens.loader import FOLDER

PIPELINES = {"sd2": StableDiffusionPipeline, "xl_base": StableDiffusionXLPipeline}


def encode(model: str, folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the embeddings of a model's prompt and negative prompt, and the pooled text."""
    pipe = PIPELINES[model].from_pretrained(write_family(folder, model))
    encoders = {"text_encoder": pipe.tokenizer}
    if model == "xl_base":
        encoders["text_encoder_2"] = pipe.tokenizer_2
        # With an end token of 2 it pools the state at the highest number, which is a new word's.
        pipe.text_encoder_2.text_model.eos_token_id = pipe.tokenizer_2.eos_token_id
    for part, tokenizer in encoders.items():
        width = config(model, part)["hidden_size"]
        for word in WORDS:
            vectors = torch.from_numpy(word_vectors(word, width))
            pipe.load_textual_inversion(
                {word: vectors}, token=word, text_encoder=getattr(pipe, part), tokenizer=tokenizer
            )
    names = ["prompt", "negative", "pooled", "negative_pooled"]
    with torch.no_grad():
        found = pipe.encode_prompt(
            prompt=PROMPT,
            negative_prompt=NEGATIVE,
            device="cpu",
            num_images_per_prompt=1,
            do_classifier_free_guidance=True,
        )
    return {
        f"{model}/{name}": array[0].numpy().astype(np.float32)
        for name, array in zip(names, found, strict=False)
    }


def write(folder: Path) -> None:
    """Make inversions.npz."""
    arrays = {}
    for model in MODELS:
        with tempfile.TemporaryDirectory() as place:
            arrays |= encode(model, Path(place))
    np.savez_compressed(folder / "inversions.npz", **arrays)


if __name__ == "__main__":
    write(FOLDER)

"""Draw the picture of a word in docs/adapters.md with the bundled model.

    python -m tools.adapter_pictures docs/images

A word of textual inversion is shown without training: its vector is the mean of two words'.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from diffusion import Pipeline, Settings
from diffusion.checkpoints.bundled import bundled_model
from diffusion.checkpoints.safetensors import open_safetensors, write_safetensors
from diffusion.text.inversions import TextualInversion
from tools.guide_pictures import strip

QUALITY: Final = 60
"""Of WebP: the file then takes less than 12 kB."""
PAIRS: Final = (("cat", "tiger"), ("heart", "star"))
TABLE: Final = "text_model.embeddings.token_embedding.weight"


def write_word(path: Path, words: tuple[str, str]) -> TextualInversion:
    """Write the word between two words of the model, named as both."""
    model = bundled_model()
    table = open_safetensors(model / "text_encoder" / "model.safetensors").read(TABLE)
    numbers = json.loads((model / "tokenizer" / "vocab.json").read_text())
    rows = table[[numbers[f"{word}</w>"] for word in words]].astype(np.float32)
    vector = rows.mean(0, keepdims=True)
    write_safetensors(path, {"emb_params": ("F32", vector.shape)}, lambda _: vector, {})
    return TextualInversion(path, "".join(words))


def draw_words(pipeline: Pipeline) -> Image.Image:
    """Arrange each pair of things before the word between them."""
    parts = []
    for words in PAIRS:
        with tempfile.TemporaryDirectory() as folder:
            word = write_word(Path(folder) / "word.safetensors", words)
            for name in (*words, word.name):
                settings = Settings(f"a {name}", seed=1, inversions=(word,))
                parts.append((pipeline.draw(settings)[0], f"a {name}"))
    return strip(parts, [136] * len(parts))


def main() -> None:
    """Write the picture into the folder named on the command line."""
    with Pipeline.load() as pipeline:
        path = Path(sys.argv[1]) / "embedding-words.webp"
        draw_words(pipeline).save(path, quality=QUALITY, method=6)


if __name__ == "__main__":
    main()

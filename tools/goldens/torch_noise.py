"""`python -m tools.goldens.torch_noise`: make tests/data/goldens/torch_noise.npz.

``torch.randn`` on the CPU, several draws of one generator, and 31 bits of its raw words; which, is
said in `tests/diffusion/noise/torch_draws.py`. Made with torch 2.13.0 (CPU).
"""

import numpy as np
import torch

from tests.diffusion.noise.torch_draws import DRAWS, SEEDS, draws_of, name, words_name
from tests.goldens.loader import FOLDER


def main() -> None:
    """Make the file."""
    arrays = {}
    for seed in SEEDS:
        generator = torch.Generator().manual_seed(seed)
        words = torch.empty(1000, dtype=torch.int32).random_(generator=generator)
        arrays[words_name(seed)] = words.numpy()
        for counts in DRAWS:
            generator = torch.Generator().manual_seed(seed)
            drawn = [torch.randn(count, generator=generator) for count in draws_of(counts)]
            arrays[name(seed, counts)] = torch.cat(drawn).numpy()
    np.savez_compressed(FOLDER / "torch_noise.npz", **arrays)
    print(f"{len(arrays)} arrays, {(FOLDER / 'torch_noise.npz').stat().st_size} bytes")


if __name__ == "__main__":
    main()

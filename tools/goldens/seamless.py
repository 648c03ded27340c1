"""`python -m tools.goldens.seamless`: make seamless.npz, networks of diffusers that wrap round.

Networks wrap along both axes by PyTorch's `padding_mode="circular"` on every convolution, as the
WebUI does, and along one axis by padding each axis in its own way. Before a VAE's halving diffusers
itself pads with zeros, at the right and the bottom. Here that padding wraps too. The WebUI leaves
it zero, which gives an encoded picture a seam of one pixel.
"""

from typing import Any

import numpy as np
import torch
from diffusers.models.downsampling import Downsample2D
from diffusers.utils.logging import disable_progress_bar

from tests.goldens.loader import FOLDER
from tests.goldens.seamless_cases import UNETS, VAES
from tools.goldens import agreement, models
from tools.goldens.networks import Arrays


def pad(x: torch.Tensor, pads: tuple[int, int, int, int], axes: str) -> torch.Tensor:
    """Pad (left, right, top, bottom) with pixels of the opposite side along `axes`, else zeros."""
    for axis, part in (("x", (*pads[:2], 0, 0)), ("y", (0, 0, *pads[2:]))):
        mode = "circular" if axis in axes else "constant"
        x = torch.nn.functional.pad(x, part, mode=mode)
    return x


def wrap(network: Any, axes: str) -> Any:
    """Return the network, changed to wrap round along `axes`."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and any(module.padding):
            if axes == "xy":
                module.padding_mode = "circular"
            else:
                rows, columns = module.padding
                around = (columns, columns, rows, rows)
                module.padding = (0, 0)
                module.register_forward_pre_hook(
                    lambda _, given, around=around: (pad(given[0], around, axes),)
                )
        if isinstance(module, Downsample2D) and module.padding == 0:
            conv = module.conv
            module.forward = lambda x, conv=conv: conv(pad(x, (0, 1, 0, 1), axes))
    return network


def compute(dtype: torch.dtype) -> Arrays:
    """Compute all cases in one precision."""
    arrays: Arrays = {}
    for name, case in UNETS.items():
        network = wrap(models.pipeline(case.model, dtype).unet, name.partition("/")[0])
        latents, states = (torch.from_numpy(a).to(dtype) for a in (case.latents(), case.text()))
        timestep = torch.tensor(case.timestep, dtype=torch.float64)
        arrays[name] = network(latents, timestep, states).sample.numpy()
    for name, other in VAES.items():
        vae = wrap(models.pipeline(other.model, dtype).vae, name.partition("/")[0])
        image, latents = (torch.from_numpy(a).to(dtype) for a in (other.image(), other.latents()))
        arrays[f"{name}/moments"] = vae.encode(image).latent_dist.parameters.numpy()
        arrays[f"{name}/decoded"] = vae.decode(latents).sample.numpy()
    return arrays


def main() -> None:
    """Run in float64, and check that the f32 run agrees."""
    torch.use_deterministic_algorithms(True)
    disable_progress_bar()
    with torch.no_grad():
        with models.exact():
            double = compute(torch.float64)
        agreement.check_networks("seamless in f32", compute(torch.float32), double)
    stored = {name: array.astype(np.float32) for name, array in double.items()}
    np.savez_compressed(FOLDER / "seamless.npz", **stored)


if __name__ == "__main__":
    main()

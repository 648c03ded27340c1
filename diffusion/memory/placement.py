"""`Placement`: where a model's weights lie, and how its VAE computes, so that a run fits."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from diffusion.models.module import Residence, residence

__all__ = ["EVERYTHING", "Placement"]


@dataclass(frozen=True)
class Placement:
    """Where weights lie. The default has all of them on the device.

    Attributes:
        transformed: weights that are made of the file's for quicker convolutions stay on the
            device. Else each call makes them.
        text: text encoders, and those of pictures, lie in memory of the host.
        vae: so does the VAE.
        unet: the share of the UNet, and of control networks, that lies there, 0 to 1.
        tile: side of the VAE's tiles in latents, for pictures that are larger; 0 for none but those
            that the picture needs anyway. Tiles alone change pictures.
    """

    transformed: bool = True
    text: bool = False
    vae: bool = False
    unet: float = 0.0
    tile: int = 0

    def around(self, component: str) -> AbstractContextManager[None]:
        """Have the networks that are loaded inside the context lie where this says.

        ``component``: a folder of the model, such as ``unet``; others count as part of the UNet.
        """
        share = self.unet
        if component.startswith("text_encoder"):
            share = float(self.text)
        elif component in ("vae", "preview"):
            share = float(self.vae)
        return residence.around(Residence(share, self.transformed))

    def tiling(self, asked: str) -> str:
        """Return how the VAE computes where ``asked`` is `Settings.vae_tiling`."""
        return "on" if self.tile and asked == "auto" else asked

    def differs_in(self, component: str, other: Placement) -> bool:
        """Tell whether another placement has a component's weights elsewhere."""
        with self.around(component):
            ours = residence.get()
        with other.around(component):
            return ours != residence.get()

    def __str__(self) -> str:
        """Return what is not as usual, for people."""
        parts = [] if self.transformed else ["transformed weights made at each call"]
        hosted = [
            name for name, there in (("text encoders", self.text), ("VAE", self.vae)) if there
        ]
        if self.unet:
            hosted.append("UNet" if self.unet == 1 else f"{100 * self.unet:.0f} % of the UNet")
        if hosted:
            parts.append(f"{', '.join(hosted)} in memory of the host")
        if self.tile:
            parts.append(
                f"the VAE in tiles of {self.tile} latents, which changes pictures a little"
            )
        return "; ".join(parts) or "all weights on the device"


EVERYTHING = Placement()
"""All weights on the device."""

"""ControlNet-LLLite: a picture changes what the layers of attentions read (kohya-ss/sd-scripts).

Each module reads the picture with convolutions of its own, and the layer's input with a thin linear
layer; both together give an addition to that input:
``x + strength * up(relu(mid(concat(picture, relu(down(x))))))``.
"""

from __future__ import annotations

from itertools import pairwise

from diffusion.models.layers import Activations, Conv2d, Linear, repeat_images
from diffusion.models.lite.config import LiteConfig, LitePlace
from diffusion.models.module import Module
from diffusion.models.weights import Parameter, Weight
from gpustd import add, gemm, maximum, multiply, slice_axis

__all__ = ["ControlLite", "LiteModule"]

_COLOURS = 3


class LiteModule(Module):
    """The module of one layer. ``mid`` is split: what it makes of the picture stays over a run."""

    def __init__(self, place: LitePlace) -> None:
        self.conditioning1: list[Conv2d | None] = []
        widths = (_COLOURS, *place.embeddings)
        for (inputs, outputs), side in zip(pairwise(widths), place.kernels, strict=True):
            if self.conditioning1:
                self.conditioning1.append(None)  # where the file counts an activation
            self.conditioning1.append(Conv2d(inputs, outputs, side, stride=side))
        embedding = place.embeddings[-1]
        self.down = [Linear(place.place.width, place.rank)]
        self.mid = [Linear(embedding + place.rank, place.rank)]
        self.up = [Linear(place.rank, place.place.width)]
        self._embedding = embedding
        self._of_picture = Weight()
        self._of_input = Weight()

    def rearranged_parameters(self) -> list[Parameter]:
        return [self.mid[0].weight]

    def after_load(self) -> None:
        weight, first = self.mid[0].weight.buffer, self._embedding
        self._of_picture = Weight(slice_axis(weight, 0, 0, first))
        self._of_input = Weight(slice_axis(weight, 0, first, weight.shape[0]))
        self.mid[0].weight.release()

    def read_picture(self, picture: Activations) -> Activations:
        """Return what a picture (1, H, W, 3) in -1..1 gives each token: (1, S, rank)."""
        convolutions = [each for each in self.conditioning1 if each]
        for conv in convolutions[:-1]:
            picture = conv(picture, activation="relu")
        read = convolutions[-1](picture)
        images, height, width, channels = read.shape
        tokens = read.view((images, height * width, channels))
        assert self.mid[0].bias is not None
        return gemm(tokens, self._of_picture.buffer, bias=self.mid[0].bias.buffer)

    def __call__(self, x: Activations, picture: Activations, strength: Activations) -> Activations:
        """Return what the layer reads in place of ``x`` (B, S, width).

        ``picture``: of `read_picture`. ``strength`` (1 or rows, 1 or S, 1): with more rows than
        ``x`` has, images are repeated.
        """
        h = gemm(self.down[0](x, activation="relu"), self._of_input.buffer)
        change = self.up[0](maximum(add(h, picture), 0.0))
        rows = max(x.shape[0], strength.shape[0])
        scaled = multiply(repeat_images(change, rows), strength)
        return add(repeat_images(x, rows), scaled)


class ControlLite(Module):
    """All modules of a file, under the names that they have there."""

    def __init__(self, config: LiteConfig) -> None:
        self._modules = [(place, LiteModule(place)) for place in config.places]
        for place, module in self._modules:
            setattr(self, place.name, module)

    @property
    def lites(self) -> list[tuple[LitePlace, LiteModule]]:
        """The modules with their places."""
        return self._modules

"""One call of a ControlNet-XS beside one call of a UNet."""

from __future__ import annotations

from collections.abc import Sequence

from diffusion.models.layers import Activations, PointwiseConv, repeat_images
from diffusion.models.transformer import PromptKeys
from diffusion.models.unet import add_images
from diffusion.models.xs.network import ControlXs
from gpustd import add, concat, multiply, slice_axis

__all__ = ["XsRun"]


class XsRun:
    """A `Companion`. ``picture``: of `ControlXs.read_picture`.

    ``strengths``: (rows, h, w, 1) for each state of the way down, the middle's last; a layer of the
    way up has that of the state that it reads.
    """

    def __init__(
        self,
        network: ControlXs,
        picture: Activations,
        prompt: PromptKeys,
        strengths: Sequence[Activations],
    ) -> None:
        self._network, self._picture, self._prompt = network, picture, prompt
        self._strengths = strengths
        self._steps = network.steps
        self._up = network.up_convolutions
        self._time: Activations | None = None
        self._states: list[Activations] = []
        self._next_step = self._next_up = 0

    def mix_time(self, time: Activations, features: Activations) -> Activations:
        """Return both time embeddings together, in the shares that the config says."""
        own, share = self._network.time_embedding, self._network.time_share
        if own is None:
            return time
        return add(multiply(own(features), share), multiply(time, 1.0 - share))

    def begin(self, latents: Activations, x: Activations, time: Activations) -> Activations:
        """Begin with the latents' first channels; others belong to inpainting networks."""
        network = self._network
        if latents.shape[3] > network.latent_channels:
            latents = slice_axis(latents, 3, 0, network.latent_channels)
        h = network.conv_in(latents, residual=repeat_images(self._picture, latents.shape[0]))
        h = repeat_images(h, time.shape[0])
        self._time, self._states = time, [h]
        return self._add(x, network.control_to_base_for_conv_in, h, 0)

    def follow(self, before: Activations, after: Activations) -> Activations:
        """Compute the next layer with the UNet's features before its own layer."""
        middle, time = self._network.mid_block, self._time
        assert time is not None
        is_middle = self._next_step == len(self._steps)
        block, index = (None, 0) if is_middle else self._steps[self._next_step]
        self._next_step += 1
        reads = middle.base_to_ctrl if block is None else block.base_to_ctrl[index]
        x = _join(self._states[-1], reads(before))
        if block is None:
            h = middle.midblock(x, time, self._prompt)
            return self._add(after, middle.ctrl_to_base, h, self._next_step)
        h = block(index, x, time, self._prompt)
        self._states.append(h)
        return self._add(after, block.ctrl_to_base[index], h, self._next_step)

    def lead(self, x: Activations) -> Activations:
        """Add the state of the way down that the UNet's layer has a skip connection of."""
        state = self._states.pop()
        convolution = self._up[self._next_up]
        self._next_up += 1
        return self._add(x, convolution, state, len(self._states))

    def _add(
        self, x: Activations, convolution: PointwiseConv, h: Activations, layer: int
    ) -> Activations:
        """Return ``x`` with what a state adds, times the strength of its layer."""
        strength = self._strengths[layer]
        rows = max(h.shape[0], strength.shape[0])
        return add_images(x, multiply(repeat_images(convolution(h), rows), strength))


def _join(x: Activations, y: Activations) -> Activations:
    """Return the channels of both; the one of fewer images is repeated."""
    images = max(x.shape[0], y.shape[0])
    return concat([repeat_images(x, images), repeat_images(y, images)], 3)

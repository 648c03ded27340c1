"""IP-Adapter: pictures as prompts, through attentions of their own (Ye et al. 2023, 2308.06721)."""

from __future__ import annotations

from collections.abc import Callable

from diffusion.models.image_prompts.config import IpAdapterConfig
from diffusion.models.image_prompts.projections import Resampler, StateProjection, TokenProjection
from diffusion.models.layers import Activations, Linear
from diffusion.models.module import Module

__all__ = ["IpAdapter"]


_Projection = TokenProjection | Resampler | StateProjection


class _Keys(Module):
    """Keys and values of the pictures' tokens for one attention."""

    def __init__(self, context: int, width: int) -> None:
        self.to_k_ip = Linear(context, width, bias=False)
        self.to_v_ip = Linear(context, width, bias=False)

    def __call__(self, tokens: Activations) -> tuple[Activations, Activations]:
        return self.to_k_ip(tokens), self.to_v_ip(tokens)


class IpAdapter(Module):
    """The networks from an image encoder's result to tokens, and to keys and values of these.

    Keys have odd numbers in files, since the attentions between them read no prompt.
    """

    def __init__(self, config: IpAdapterConfig) -> None:
        kinds: dict[str, Callable[[IpAdapterConfig], _Projection]] = {
            "base": TokenProjection,
            "plus": Resampler,
            "full": StateProjection,
        }
        self.image_proj = kinds[config.kind](config)
        self._keys = [_Keys(config.context, width) for width in config.widths]
        self.ip_adapter = [each for keys in self._keys for each in (None, keys)]

    def tokens(self, encoded: Activations) -> Activations:
        """Return the tokens (B, T, context) of pictures."""
        return self.image_proj(encoded)

    def keys(self, place: int, tokens: Activations) -> tuple[Activations, Activations]:
        """Return keys and values (B, T, width) at a place, by its number in the file's order."""
        return self._keys[place](tokens)

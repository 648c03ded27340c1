"""CLIP's text transformer (Radford et al. 2021, arXiv 2103.00020)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from diffusion.models.config import ClipTextConfig
from diffusion.models.layers import Activations, Embedding, LayerNorm, Linear
from diffusion.models.module import Module
from gpucore import Buffer, i32
from gpustd import add, attention, concat, embedding

__all__ = ["ClipTextModel", "Encoder", "LearnedVectors", "ProjectedClipTextModel"]


class LearnedVectors(NamedTuple):
    """Vectors that take the place of tokens' embeddings (textual inversion).

    ``vectors``: (V, hidden). ``choice`` (B, S): for each token its own number among all B S tokens,
    or B S plus that of a vector.
    """

    vectors: Activations
    choice: Buffer[i32]

    def replace_tokens(self, tokens: Activations) -> Activations:
        """Return the embeddings (B, S, hidden) of tokens with the chosen vectors in their place."""
        rows = tokens.view((tokens.shape[0] * tokens.shape[1], tokens.shape[2]))
        return embedding(self.choice, concat([rows, self.vectors], 0))


class EncoderConfig(Protocol):
    """The sizes of a stack of layers, of text or of pictures."""

    @property
    def hidden_size(self) -> int: ...

    @property
    def intermediate_size(self) -> int: ...

    @property
    def num_hidden_layers(self) -> int: ...

    @property
    def num_attention_heads(self) -> int: ...

    @property
    def hidden_act(self) -> str: ...

    @property
    def layer_norm_eps(self) -> float: ...


class SelfAttention(Module):
    """Multi-head self-attention. ``causal``: a token sees none that follow it."""

    def __init__(self, config: EncoderConfig, *, causal: bool) -> None:
        width = config.hidden_size
        self.k_proj = Linear(width, width)
        self.v_proj = Linear(width, width)
        self.q_proj = Linear(width, width)
        self.out_proj = Linear(width, width)
        self._heads = config.num_attention_heads
        self._causal = causal

    def __call__(self, x: Activations, residual: Activations) -> Activations:
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        attended = attention(q, k, v, heads=self._heads, causal=self._causal)
        return self.out_proj(attended, residual=residual)


class Mlp(Module):
    """Two linear layers with the model's activation between."""

    def __init__(self, config: EncoderConfig) -> None:
        self.fc1 = Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = Linear(config.intermediate_size, config.hidden_size)
        self._activation = config.hidden_act

    def __call__(self, x: Activations, residual: Activations) -> Activations:
        return self.fc2(self.fc1(x, activation=self._activation), residual=residual)


class EncoderLayer(Module):
    """Pre-norm transformer layer."""

    def __init__(self, config: EncoderConfig, *, causal: bool) -> None:
        self.self_attn = SelfAttention(config, causal=causal)
        self.layer_norm1 = LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = Mlp(config)
        self.layer_norm2 = LayerNorm(config.hidden_size, config.layer_norm_eps)

    def __call__(self, x: Activations) -> Activations:
        x = self.self_attn(self.layer_norm1(x), x)
        return self.mlp(self.layer_norm2(x), x)


class Embeddings(Module):
    """Token plus position embeddings."""

    def __init__(self, config: ClipTextConfig) -> None:
        self.token_embedding = Embedding(config.vocab_size, config.hidden_size)
        self.position_embedding = Embedding(config.max_position_embeddings, config.hidden_size)

    def __call__(
        self, ids: Buffer[i32], positions: Buffer[i32], learned: LearnedVectors | None
    ) -> Activations:
        tokens = self.token_embedding(ids)
        if learned is not None:
            tokens = learned.replace_tokens(tokens)
        return add(tokens, self.position_embedding(positions))


class Encoder(Module):
    """The stack of layers; a call runs those from ``first`` up to but not with ``end``."""

    def __init__(self, config: EncoderConfig, *, causal: bool) -> None:
        self.layers = [EncoderLayer(config, causal=causal) for _ in range(config.num_hidden_layers)]

    def __call__(self, x: Activations, first: int = 0, end: int | None = None) -> Activations:
        for layer in self.layers[first:end]:
            x = layer(x)
        return x


class TextTransformer(Module):
    """Embeddings, layers and the final norm."""

    def __init__(self, config: ClipTextConfig) -> None:
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config, causal=True)
        self.final_layer_norm = LayerNorm(config.hidden_size, config.layer_norm_eps)

    def __call__(
        self,
        ids: Buffer[i32],
        positions: Buffer[i32],
        skip: int = 0,
        learned: LearnedVectors | None = None,
    ) -> Activations:
        end = len(self.encoder.layers) - skip
        return self.encoder(self.embeddings(ids, positions, learned), end=end)


class ClipTextModel(Module):
    """The text encoder: token ids (B, S) and their positions (B, S) to embeddings (B, S, hidden).

    ``skip``: number of last layers that are left out (CLIP skip). ``normed``: apply the final norm,
    as all models but SDXL do. ``learned``: vectors in place of some tokens' embeddings.
    """

    def __init__(self, config: ClipTextConfig) -> None:
        self.text_model = TextTransformer(config)

    def __call__(
        self,
        ids: Buffer[i32],
        positions: Buffer[i32],
        *,
        skip: int = 0,
        normed: bool = True,
        learned: LearnedVectors | None = None,
    ) -> Activations:
        states = self.text_model(ids, positions, skip, learned)
        return self.text_model.final_layer_norm(states) if normed else states


class ProjectedClipTextModel(ClipTextModel):
    """The text model with a projection of the state at the end token: the pooled text."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__(config)
        self.text_projection = Linear(config.hidden_size, config.projection_dim, bias=False)

    def encode(
        self,
        ids: Buffer[i32],
        positions: Buffer[i32],
        ends: Buffer[i32],
        skip: int,
        learned: LearnedVectors | None = None,
    ) -> tuple[Activations, Activations]:
        """Return embeddings (B, S, hidden) without the final norm, and pooled text (B, projection).

        ``ends`` (B,): indices of the end tokens among all B S tokens. The pooled text comes from
        the last layer and the final norm, whatever is skipped. ``learned``: see `ClipTextModel`.
        """
        model = self.text_model
        states = model(ids, positions, skip, learned)
        last = model.encoder(states, first=len(model.encoder.layers) - skip)
        tokens = model.final_layer_norm(last)
        table = tokens.view((tokens.shape[0] * tokens.shape[1], tokens.shape[2]))
        return states, self.text_projection(embedding(ends, table))

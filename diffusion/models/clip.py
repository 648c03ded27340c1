"""CLIP's text transformer (Radford et al. 2021, arXiv 2103.00020)."""

from __future__ import annotations

from diffusion.models.config import ClipTextConfig
from diffusion.models.layers import Activations, Embedding, LayerNorm, Linear
from diffusion.models.module import Module
from gpucore import Buffer, i32
from gpustd import add, attention

__all__ = ["ClipTextModel"]


class SelfAttention(Module):
    """Causal multi-head self-attention."""

    def __init__(self, config: ClipTextConfig) -> None:
        width = config.hidden_size
        self.k_proj = Linear(width, width)
        self.v_proj = Linear(width, width)
        self.q_proj = Linear(width, width)
        self.out_proj = Linear(width, width)
        self._heads = config.num_attention_heads

    def __call__(self, x: Activations, residual: Activations) -> Activations:
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        return self.out_proj(attention(q, k, v, heads=self._heads, causal=True), residual=residual)


class Mlp(Module):
    """Two linear layers with the model's activation between."""

    def __init__(self, config: ClipTextConfig) -> None:
        self.fc1 = Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = Linear(config.intermediate_size, config.hidden_size)
        self._activation = config.hidden_act

    def __call__(self, x: Activations, residual: Activations) -> Activations:
        return self.fc2(self.fc1(x, activation=self._activation), residual=residual)


class EncoderLayer(Module):
    """Pre-norm transformer layer."""

    def __init__(self, config: ClipTextConfig) -> None:
        self.self_attn = SelfAttention(config)
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

    def __call__(self, ids: Buffer[i32], positions: Buffer[i32]) -> Activations:
        return add(self.token_embedding(ids), self.position_embedding(positions))


class Encoder(Module):
    """The stack of layers."""

    def __init__(self, config: ClipTextConfig) -> None:
        self.layers = [EncoderLayer(config) for _ in range(config.num_hidden_layers)]

    def __call__(self, x: Activations) -> Activations:
        for layer in self.layers:
            x = layer(x)
        return x


class TextTransformer(Module):
    """Embeddings, layers and the final norm."""

    def __init__(self, config: ClipTextConfig) -> None:
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.final_layer_norm = LayerNorm(config.hidden_size, config.layer_norm_eps)

    def __call__(self, ids: Buffer[i32], positions: Buffer[i32]) -> Activations:
        return self.final_layer_norm(self.encoder(self.embeddings(ids, positions)))


class ClipTextModel(Module):
    """Token ids (B, S) and their positions (B, S) to embeddings (B, S, hidden)."""

    def __init__(self, config: ClipTextConfig) -> None:
        self.text_model = TextTransformer(config)

    def __call__(self, ids: Buffer[i32], positions: Buffer[i32]) -> Activations:
        return self.text_model(ids, positions)

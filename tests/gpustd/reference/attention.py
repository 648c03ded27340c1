"""Reference, cases and tolerance of attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "LARGE", "SMALL", "Case", "bound", "draw", "reference"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Sizes of one attention; ``peak`` multiplies q, and with it the scores."""

    batch: int
    sq: int
    sk: int
    heads: int
    head: int
    causal: bool = False
    peak: float = 1.0

    @property
    def name(self) -> str:
        """Name in test ids and benchmark rows."""
        extra = "-causal" * self.causal + (f"-peak{self.peak:g}" if self.peak != 1 else "")
        return f"{self.batch}x{self.heads}x{self.sq}x{self.sk}x{self.head}{extra}"

    @property
    def flops(self) -> int:
        """Multiplications and additions of both products."""
        return 4 * self.batch * self.heads * self.sq * self.sk * self.head


SMALL = (
    Case(2, 256, 256, 4, 32),
    Case(2, 256, 77, 4, 32),
    Case(2, 64, 64, 4, 48),
    Case(1, 1024, 1024, 1, 96),
)
"""Sizes that are timed on every device, and tested."""

LARGE = (
    Case(2, 4096, 4096, 8, 40),
    Case(2, 4096, 77, 8, 40),
    Case(2, 1024, 1024, 8, 80),
    Case(2, 256, 256, 8, 160),
    Case(1, 4096, 4096, 1, 512),
    Case(2, 4096, 4096, 10, 64),
    Case(2, 1024, 1024, 20, 64),
)
"""Sizes that are timed on GPUs."""

CASES = (
    Case(1, 1, 1, 1, 4),
    Case(2, 3, 1, 2, 8),
    Case(1, 77, 77, 2, 48, causal=True),
    Case(2, 65, 77, 3, 40),
    Case(1, 130, 131, 2, 32),
    Case(1, 37, 257, 1, 160),
    Case(1, 33, 40, 2, 20, causal=True),
    Case(2, 19, 45, 3, 7),
    Case(1, 40, 70, 1, 96),
    Case(1, 17, 33, 1, 512),
    Case(1, 33, 100, 2, 40, peak=300.0),
    Case(0, 8, 8, 1, 8),
    Case(1, 0, 8, 1, 8),
    *SMALL,
)


def draw(case: Case, kind: Any, seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return normal q, k, v, rounded to the storage type ``kind``.

    Later keys lean towards the query's mean direction, so that running maxima keep growing.
    """
    rng = np.random.default_rng(seed)
    channels = case.heads * case.head
    q = rng.standard_normal((case.batch, case.sq, channels)) * case.peak
    k, v = rng.standard_normal((2, case.batch, case.sk, channels))
    if case.sq:
        k += np.linspace(0, 1, case.sk)[:, None] * np.sign(q[:, :1])
    return q.astype(kind), k.astype(kind), v.astype(kind)


def _split(x: Array, heads: int) -> Array:
    """(B, S, heads * D) as (B, heads, S, D)."""
    batch, tokens, channels = x.shape
    return x.reshape(batch, tokens, heads, channels // heads).transpose(0, 2, 1, 3)


def _join(x: Array) -> Array:
    batch, heads, tokens, head = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch, tokens, heads * head)


def _weights(q: Array, k: Array, causal: bool) -> Array:
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
    if causal:
        seen = np.arange(k.shape[2])[None, :] <= np.arange(q.shape[2])[:, None]
        scores = np.where(seen, scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def reference(q: Array, k: Array, v: Array, heads: int, causal: bool) -> Array:
    """Return the result of attention in float64."""
    weights = _weights(_split(q, heads), _split(k, heads), causal)
    return _join(weights @ _split(v, heads))


def bound(
    q: Array, k: Array, v: Array, heads: int, causal: bool, eps_out: float, eps_weights: float
) -> Array:
    """Return the greatest error allowed for each element.

    A score, a sum of D products in f32, is off by some eps * sqrt(D) * sum |q||k| / sqrt(D) (four
    times that is allowed, and the same again for the rounding of its scaling and of the exponent),
    and a weight exp(score) relatively by what its score is off. Both the result and the total by
    which it is divided carry that error. exp2 is off by 3 + 2|x| units in the last place; as
    2^x * 2|x| < 1.1, that is below 5 units of the largest weight. Sums over Sk keys in f32 add
    eps * sqrt(Sk). ``eps_weights`` is the rounding of stored weights (2^-11 where they are f16,
    whose smallest step of 2^-24 counts beside a largest weight of 1), ``eps_out`` the result's.
    """
    eps = float(np.finfo(np.float32).eps)
    qs, ks, vs = _split(q, heads), _split(k, heads), _split(v, heads)
    weights = _weights(qs, ks, causal)
    spread = np.abs(qs) @ np.abs(ks).transpose(0, 1, 3, 2) / np.sqrt(qs.shape[-1])
    score = 4 * eps * np.sqrt(qs.shape[-1]) * spread + 8 * eps * (1 + spread)
    sum_error = 4 * eps * np.sqrt(ks.shape[2])
    relative = np.expm1(np.minimum(score, 1.0)) + 5 * eps + sum_error + eps_weights
    size = np.abs(vs)
    # Errors of weights in the result, and of the total, which scales all of it.
    direct = (weights * relative) @ size
    total = (weights * relative).sum(-1, keepdims=True) * (weights @ size)
    floor = (
        (2.0**-24 if eps_weights else 0.0)
        * size.sum(axis=2, keepdims=True)
        * weights.max(axis=-1, keepdims=True, initial=0)
    )
    result = np.abs(_join(weights @ vs))
    return np.asarray(_join(direct + total + floor) + eps_out * (result + 1e-3))

"""Weights whose blocks of each format ggml's own code makes, for `quantized.npz`.

Keys: ``case/format``, the bytes of the blocks. `tools/goldens/quantized.py` makes the file.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.goldens.weights import Array, normal

COUNT = 768
"""Weights of a case: three blocks of 256."""

# The numbers of ggml's types, by our names.
TYPES: Mapping[str, int] = {
    "q4_0": 2,
    "q4_1": 3,
    "q5_0": 6,
    "q5_1": 7,
    "q8_0": 8,
    "q2_k": 10,
    "q3_k": 11,
    "q4_k": 12,
    "q5_k": 13,
    "q6_k": 14,
    "iq4_nl": 20,
    "iq4_xs": 23,
}


def cases() -> dict[str, Array]:
    """Return the weights of each case.

    As in models; with groups of very unequal size, many zeros and constant groups; above zero; and
    with ties, which are halves of small integers.
    """
    drawn = normal("quantized", (4, COUNT))
    uneven = drawn[1] ** 3 * np.repeat(np.float32(4) ** np.round(drawn[2, :48] * 2), 16)
    uneven[np.abs(drawn[1]) < 0.3] = 0
    uneven[64:128], uneven[160:192] = 0, 0.25
    return {
        "model": drawn[0] * np.float32(0.03),
        "uneven": uneven.astype(np.float32),
        "above": np.abs(drawn[2]) + np.float32(0.5),
        "ties": np.round(drawn[3] * 60).astype(np.float32) / np.float32(2),
    }

"""Make `gpustd/random/normal_quantiles.py`: cubics of the normal distribution's quantiles.

    python -m tools.normal_table

The upper tail's probability u, 2^-33 to 1/2, is cut at powers of two, and what lies between two of
them into 16 equal parts. On each, the quantile is interpolated at Chebyshev's four points of it
(SciPy's ``ndtri``), within 2^-26. What the numbers are is told in `shaders/random/normal.wgsl`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

OCTAVES = 32
PARTS = 16
TARGET = Path(__file__).parent.parent / "gpustd/random/normal_quantiles.py"
HEAD = '''"""Cubics of the normal distribution's quantiles, computed by `tools/normal_table.py`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["normal_table"]


def normal_table() -> NDArray[np.uint32]:
    """Return the table (512, 4) of u32.

    A row holds value and slope at the start, two more coefficients in a word, and the bits of a
    scale.
    """
    return np.frombuffer(bytes.fromhex(_TABLE), "<u4").astype(np.uint32).reshape(-1, 4)


_TABLE = """
'''


def cubic(start: float, length: float) -> NDArray[np.float64]:
    """Return the coefficients of t in [0, 1] for the quantile of ``start + length t``."""
    t = (np.cos(np.pi * (np.arange(4) + 0.5) / 4) + 1) / 2
    return np.linalg.solve(np.vander(t, 4, increasing=True), -ndtri(start + length * t))


def entry(octave: int, part: int) -> list[int]:
    """Return one row of the table."""
    low = 2.0 ** -(octave + 2)
    c = cubic(low * (1 + part / PARTS), low / PARTS)
    bits = int(np.floor(np.log2((2**24 - 64) / c[0])))
    value, slope, second, third = np.abs(c) * 2.0 ** (bits + 7)
    value, slope = round(2 * value) + 128, round(slope)
    second, third = round(second / 2**5), round(third / 2**3)
    if value >= 2**32 or slope >= 2**31 or max(second, third) >= 2**16:
        raise ValueError(f"{octave}, {part}: a coefficient does not fit")
    return [value, slope, second | third << 16, (127 - bits) << 23]


def main() -> None:
    """Write the table."""
    rows = [entry(octave, part) for octave in range(OCTAVES) for part in range(PARTS)]
    digits = np.array(rows, "<u4").tobytes().hex()
    lines = [digits[k : k + 96] for k in range(0, len(digits), 96)]
    TARGET.write_text(HEAD + "\n".join(lines) + '\n"""\n')


if __name__ == "__main__":
    main()

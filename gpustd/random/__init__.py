"""Random numbers computed on the device.

Law: numbers depend on the seed, the stream, the number of the draw and the element's index alone,
and never on the device, the engine or how the work is spread.

The generator is Philox. Normal numbers are quantiles: 31 bits choose one of 512 cubics, which are
evaluated in integers and converted once, so that the bits are equal on every device. The table of
cubics is shipped, because logarithms differ between machines.
"""

from gpustd.random.generator import Generator

__all__ = ["Generator"]

"""Random numbers computed on the device.

Law: numbers depend on the seed, the stream, the number of the draw and the element's index alone.
They never depend on the device, the engine or how the work is spread.
"""

from gpustd.random.generator import Generator

__all__ = ["Generator"]

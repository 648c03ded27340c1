"""Random numbers made on the device.

Law: what a seed gives depends on the seed, the stream, the number of the draw and the element's
index alone: never on the device, the engine or how the work is spread.
"""

from gpustd.random.generator import Generator

__all__ = ["Generator"]

"""Tables of tiles that were timed on a device, and the timing that makes them.

Law: a tile changes how long a product takes and never its result.
"""

__all__: list[str] = []

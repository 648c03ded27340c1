"""Images sampled at other places: resizing, warps, gathers.

Law: the host computes weights and maps in float64, and the device keeps them.
"""

__all__: list[str] = []

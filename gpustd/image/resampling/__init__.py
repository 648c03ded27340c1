"""Images at other places: resizing, warps, gathers.

Law: weights and maps are made on the host in float64 and kept on the device.
"""

__all__: list[str] = []

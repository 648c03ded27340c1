"""Normalisations: group, layer, batch and RMS norm.

Law: statistics are f32, in an order that the sizes of one image fix.
"""

__all__: list[str] = []

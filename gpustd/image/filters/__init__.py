"""Filters of images: blurs, edges, morphology, medians.

Law: one border rule gives the pixels beyond an edge.
"""

__all__: list[str] = []

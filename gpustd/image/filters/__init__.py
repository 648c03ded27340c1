"""Windows over images: blurs, edges, morphology, medians.

Law: what lies beyond an edge follows from one border rule.
"""

__all__: list[str] = []

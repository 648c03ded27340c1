"""Attention: fused kernels, masks, and the form with scores in memory.

Law: no variant keeps a matrix of all scores, but that by products.

In WGSL on matrix units, scores of more than 128 keys are f16 relative to a maximum that is never
raised. A block of rows for which that is not enough is computed again by the f32 loop of the same
kernel. Where an image has few rows of wide heads, teams of subgroups share the keys of a step, and
their sums are added at the end. Integer masks become bits first.
"""

__all__: list[str] = []

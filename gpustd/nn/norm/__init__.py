"""Normalisations: group, layer, batch and RMS norm.

Law: statistics are f32, in an order that the sizes of one image fix.

Group norm takes one launch for small images, with a group of one image for each workgroup. From 2
MiB an image on it takes two: moments of runs, then their union at the head of the last step. Its
words have 16 bytes wherever groups begin, so moments are kept for each channel and united into
groups through workgroup memory.
"""

__all__: list[str] = []

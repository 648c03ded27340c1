"""Pooling over one to three axes.

Law: windows never read beyond the image; padding does not count.
"""

__all__: list[str] = []

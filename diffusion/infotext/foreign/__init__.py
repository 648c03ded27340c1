"""Metadata of pictures that other programs made, as infotext.

Law: text in, text out. The JSON is hostile: its length, depth and links are bounded, values are
taken only where they have the expected type, and names in it are never looked for on the disk.
"""

from diffusion.infotext.foreign.convert import Foreign, convert_metadata

__all__ = ["Foreign", "convert_metadata"]

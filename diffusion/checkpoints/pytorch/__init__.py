"""PyTorch checkpoints, opened for conversion alone.

Law: a pickle is never loaded. A process of its own without rights reads it as data, and its answer
is checked like the header of any file that may be hostile.
"""

from diffusion.checkpoints.pytorch.checkpoint import SUFFIXES, open_torch, wrong_file_error

__all__ = ["SUFFIXES", "open_torch", "wrong_file_error"]

"""A full-size Stable Diffusion 1.5 with random weights, and what diffusers computes with it.

Law: PyTorch and diffusers are used here only, never at run time.
"""

__all__: list[str] = []

"""Full-size Stable Diffusion models with random weights, and what diffusers computes with them.

Law: PyTorch and diffusers are used here only, never at run time.
"""

__all__: list[str] = []

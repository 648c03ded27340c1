"""Scripts that make the golden files with diffusers and transformers, from the tiny golden models.

Law: this package alone imports PyTorch, diffusers and transformers, and only to write files into
tests/data/goldens; nothing imports it. Models and cases come from tests/goldens, which the tests
read too. How to run it and what was measured: README.md beside this file.
"""

__all__: list[str] = []

"""Prompts to embeddings: tokenizer, text encoders, and the conditioning of the UNet.

Law: knows no pipeline and no sampler.
"""

__all__: list[str] = []

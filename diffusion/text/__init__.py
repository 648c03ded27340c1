"""Prompts to embeddings: tokenizer, text encoders, and what the UNet is told of them.

Law: knows no pipeline and no sampler.
"""

__all__: list[str] = []

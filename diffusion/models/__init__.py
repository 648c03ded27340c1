"""The networks of Stable Diffusion: text encoder, UNet, autoencoder.

Law: modules of gpustd operations; nothing here knows a sampler, a pipeline or a file.
"""

__all__: list[str] = []

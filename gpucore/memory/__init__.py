"""Device memory: the pool of buffers, and the memory that captured graphs share.

Law: sizes and handles only; nothing here knows of kernels or commands.
"""

__all__: list[str] = []

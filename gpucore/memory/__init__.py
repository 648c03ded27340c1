"""Device memory: the pool of buffers, and the memory that captured graphs share.

Law: sizes and handles only; nothing here knows what a kernel or a command does.
"""

__all__: list[str] = []

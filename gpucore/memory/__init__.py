"""Device memory: the pool of buffers, and the memory that captured graphs share.

Law: sizes and handles only; nothing here knows what a kernel or a command does.

The pool hands out whole GPU buffers, never slices of one. WebGPU tracks hazards for each buffer, so
two arrays in one buffer could not be read and written by one dispatch. Live and peak bytes are
exact.

A captured graph gets its memory when the capture ends. What is still referenced has memory of its
own. All else shares, by first and last use, and all graphs of a device use one set of memory in
turn. If a larger graph moves it, the others bind anew at their next replay.
"""

__all__: list[str] = []

"""Convolutions over one to three axes, transposed and grouped ones.

Law: addressing and choice of kernel; the arithmetic is that of `gpustd.matmul`.

A transposed convolution is an ordinary one for each remainder by its stride; where it doubles
images, it is a batch of one product. Groups of 2 to 16 channels run on matrix units as blocks on a
diagonal. A step that stages an infinity or a NaN is computed product by product, since zeros times
those are NaN. Depthwise windows share ``shaders/nn/window.wgsl`` with pooling: an invocation goes
down a strip of rows and adds each row to the sums of all windows in which it lies.
"""

__all__: list[str] = []

"""The matrix product behind dense layers and convolutions, and its variants.

Law: there is one family of kernels. A convolution only changes the addresses of the left operand.
"""

__all__: list[str] = []

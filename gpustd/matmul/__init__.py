"""The matrix product behind dense layers and convolutions, and its variants.

Law: one product kernel family; convolutions are address arithmetic on its left operand.
"""

__all__: list[str] = []

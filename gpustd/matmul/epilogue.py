"""The epilogue of a matrix product: what its last step adds to the sums, and the activation."""

from __future__ import annotations

from typing import Any, NamedTuple

from gpucore import Buffer, DTypeError, ShapeError, f32
from gpustd.launch.checks import require_buffers

__all__ = ["ACTIVATIONS", "NO_EPILOGUE", "Epilogue", "require_activation", "require_epilogue"]

ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "quick_gelu", "relu", "geglu")


class Epilogue(NamedTuple):
    """Buffers that the last step adds: ``activation(sum + bias + per_image) + residual``.

    ``bias`` is (columns), ``per_image`` (images, columns or more), ``residual`` like the result.
    """

    bias: Buffer[f32] | None = None
    per_image: Buffer[Any] | None = None
    residual: Buffer[Any] | None = None

    @property
    def buffers(self) -> list[Buffer[Any]]:
        """The buffers that are given, in the order of the shaders' bindings."""
        return [buffer for buffer in self if buffer is not None]

    @property
    def flags(self) -> dict[str, bool]:
        """Each buffer's name, and whether it is given."""
        return {name: buffer is not None for name, buffer in self._asdict().items()}


NO_EPILOGUE = Epilogue()


def require_activation(op: str, activation: str | None) -> None:
    """Raise `ShapeError` for an unknown activation."""
    known = isinstance(activation, str) and activation in ACTIVATIONS
    if activation is not None and not known:
        names = ", ".join(ACTIVATIONS)
        raise ShapeError(f"{op}: activation must be None or one of {names}, got {activation!r}")


def require_epilogue(
    op: str, epilogue: Epilogue, shape: tuple[int, ...], columns: int, image_first: int = 0
) -> None:
    """Raise an error for a buffer that does not fit a result of ``shape``.

    ``columns`` is how many the weights have, ``image_first`` the first used column of
    ``per_image``. Raises `ArgumentError`, `DTypeError` or `ShapeError`.
    """
    require_buffers(op, *epilogue.buffers)
    bias, per_image, residual = epilogue
    if bias is not None and bias.shape != (columns,):
        raise ShapeError(f"{op}: bias must be ({columns},), got {bias.shape}")
    if bias is not None and bias.dtype is not f32:
        raise DTypeError(f"{op}: bias must be f32, got {bias!r}")
    if per_image is not None and not _fits_images(per_image.shape, shape, image_first):
        raise ShapeError(
            f"{op}: per_image must be ({shape[0]}, {shape[-1]}), or wider with its width and first "
            f"column multiples of 8, got {per_image.shape} from column {image_first}"
        )
    if residual is not None and residual.shape != shape:
        raise ShapeError(f"{op}: residual must be {shape}, got {residual.shape}")


def _fits_images(given: tuple[int, ...], shape: tuple[int, ...], first: int) -> bool:
    images, columns = shape[0], shape[-1]
    if given == (images, columns) and first == 0:
        return True
    aligned = len(given) == 2 and given[1] % 8 == 0 == first % 8 and first >= 0
    return aligned and given[0] == images and given[1] >= first + columns

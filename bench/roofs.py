"""The roof of a card in a run: the best of our own rates and, if installed, PyTorch's."""

from __future__ import annotations

from bench.torch_peer import TorchPeer
from gpucore import Device, DType, Roof, f16, f32
from gpustd.tuning.roof import copy_rate, matmul_rate

__all__ = ["Roofs"]


class Roofs:
    """Rates of copies and matrix products, each measured when it is first needed."""

    def __init__(self, device: Device, peer: TorchPeer | None) -> None:
        self._device = device
        self._peer = peer
        self.copies: dict[str, float] = {}
        """Bytes read and written a second, by library."""
        self.products: dict[str, dict[str, float]] = {}
        """FLOP/s by dtype, then by library."""

    def of(self, dtype: type[DType]) -> Roof:
        """Return the roof for f16 or f32; other dtypes have that of f32."""
        kind = f16 if dtype is f16 else f32
        products = self._products(kind)
        return Roof(max(products.values()), self.copy_rate)

    @property
    def copy_rate(self) -> float:
        """Return the best rate of copies, in bytes a second."""
        if not self.copies:
            self.copies["Avila"] = copy_rate(self._device, f32)
            self._device.trim()
            if self._peer is not None:
                self.copies["PyTorch"] = self._peer.copy_rate()
        return max(self.copies.values())

    def _products(self, dtype: type[DType]) -> dict[str, float]:
        found = self.products.get(dtype.name)
        if found is None:
            found = self.products[dtype.name] = {"Avila": matmul_rate(self._device, dtype)}
            self._device.trim()
            if self._peer is not None:
                found["PyTorch"] = self._peer.product_rate(dtype)
        return found

"""Use every GPU of the machine: split rows, compute at the same time, gather the result.

Devices share no memory, so data goes through the host. A machine without a GPU uses software
adapters, which show how it works but gain no speed.
"""

import numpy as np

from gpucore import Device, Devices
from gpustd import gemm


def all_devices() -> Devices:
    """Open all GPUs or, where there is none, up to two software adapters."""
    present = Device.list()
    if all(info.kind == "cpu" for info in present):
        return Devices.by_name(*[f"cpu:{i}" for i in range(min(len(present), 2))])
    return Devices.all()


def main(rows: int = 515, columns: int = 64, inner: int = 96) -> None:
    """Multiply a tall matrix; each device computes a part of its rows."""
    rng = np.random.default_rng(0)
    tall, small = rng.standard_normal((rows, inner)), rng.standard_normal((inner, columns))
    with all_devices() as devices:
        parts = devices.split_buffer(tall.astype(np.float32))
        weights = [device.buffer_from_array(small.astype(np.float32)) for device in devices]
        products = devices.parallel_execute(gemm, parts, weights)  # waits for nothing
        result = devices.gather(products)
        for device, part in zip(devices, parts, strict=True):
            print(f"{len(part)} rows on {device.name} ({device.backend})")
    error = np.linalg.norm(result - tall @ small) / np.linalg.norm(tall @ small)
    assert result.shape == (rows, columns)
    assert error < 1e-5
    print(f"{len(result)} rows in all, relative error {error:.0e}")


if __name__ == "__main__":
    main()

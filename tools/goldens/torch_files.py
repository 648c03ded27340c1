"""A checkpoint as PyTorch saves it, with every kind of tensor that a model may hold."""

from pathlib import Path

import numpy as np
import torch


def write(folder: Path) -> None:
    """Write checkpoint.bin, a few kilobytes, and checkpoint.npz, its tensors.

    They are f32 there where NumPy has no such type.
    """
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    tensors = {
        "f32": draw(4, 3, 3, 2),
        "f16": draw(3, 8).half(),
        "f64": draw(2).double(),
        "bf16": draw(5, 3).bfloat16(),
        "e4m3": draw(4).to(torch.float8_e4m3fn),
        "e5m2": draw(4).to(torch.float8_e5m2),
        "i64": torch.arange(3),
        "u8": torch.arange(3, dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "channels_last": draw(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "transposed": draw(3, 7).t(),
        "rows_of_another": draw(10, 4)[2:5],
        "parameter": torch.nn.Parameter(draw(2, 2)),
    }
    tied = tensors["f32"]
    training = {"epoch": 3, "global_step": 875000, "lr": 1e-4, "callbacks": {"a": [1, None]}}
    best = {"best": np.float64(3.0), "shape": torch.Size([1, 2])}
    state = torch.nn.Linear(2, 2, bias=False).state_dict()
    state["weight"] = draw(2, 2)
    state.update(tensors | {"tied": tied})
    torch.save({"state_dict": state} | training | best, folder / "checkpoint.bin")
    plain = {
        name: value.detach().float().numpy()
        if value.dtype in (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)
        else value.detach().numpy()
        for name, value in state.items()
    }
    np.savez_compressed(folder / "checkpoint.npz", **plain)

"""Loading a model of SDXL's size takes little memory of the host: one tensor after another."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.diffusion.checkpoints.single_file.full_size_files import single_shapes

TOKENIZER = Path(__file__).parents[3] / "models" / "emoji" / "tokenizer"
GIGABYTE = 10**9

# A device that takes all writes and keeps none stands for a card with memory of its own.
LOAD = """
import pathlib, resource, sys
from diffusion.checkpoints import open_model
from diffusion.models.clip import ClipTextModel, ProjectedClipTextModel
from diffusion.models.module import (load)
from diffusion.models.unet import UNet
from diffusion.models.vae import Vae
from gpucore import Device, f16, f32
from gpucore.backends import null

class Nothing(null.NullBackend):
    written = 0
    def allocate(self, nbytes):
        return null.NullBuffer(0)
    def write(self, handle, data, first=0):
        self.written += data.nbytes

backend = Nothing(null.adapters()[0])
device = Device(backend)
def peak():
    # Linux's ru_maxrss counts the parent's memory before exec, too.
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        line, = (x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1 if sys.platform == "darwin" else 1024)

before = peak()
model = open_model(sys.argv[1], tokenizer=sys.argv[2])
networks = {
    "text_encoder": ClipTextModel(model.text_encoders["text_encoder"]),
    "text_encoder_2": ProjectedClipTextModel(model.text_encoders["text_encoder_2"]),
    "vae": Vae(model.vae),
    "unet": UNet(model.unet),
}
for part in sys.argv[4:]:
    network = networks[part]
    weights = model.weights(part)
    weights.check({name: parameter.shape for name, parameter in network.parameters()})
    load(network, weights.read, device, f32 if sys.argv[3] == "f32" else f16)
print(backend.written, peak() - before)
"""


def sparse_file(path: Path, dtype: str) -> None:
    """Write a single file of SDXL whose tensors are a hole in the disk."""
    tree: dict[str, object] = {}
    end = 0
    for name, shape in single_shapes("sdxl").items():
        start, end = end, end + 2 * math.prod(shape)
        tree[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    header = json.dumps(tree).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + end)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="measured with POSIX's getrusage")
@pytest.mark.parametrize(
    ("dtype", "wanted", "parts", "count"),
    [
        ("F16", "f16", ["text_encoder", "text_encoder_2", "vae", "unet"], 3_469_000_000),
        ("BF16", "f32", ["text_encoder_2"], 694_000_000),
    ],
    ids=["whole", "converted"],
)
def test_sdxl_is_loaded_in_pieces(
    dtype: str, wanted: str, parts: list[str], count: int, tmp_path: Path
) -> None:
    """The largest tensor, 49408 by 1280, is 126 MB in F16 and 253 MB in f32.

    ``count``: parameters of the parts, rounded down to millions.
    """
    path = tmp_path / "sdxl.safetensors"
    sparse_file(path, dtype)
    command = [sys.executable, "-c", LOAD, str(path), str(TOKENIZER), wanted, *parts]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    written, grown = map(int, done.stdout.split())
    assert written >= count * (4 if wanted == "f32" else 2)
    assert 0 < grown <= GIGABYTE

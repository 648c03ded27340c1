"""Conway's Game of Life on a torus: one kernel, two buffers in turn, and a graph.

python examples/game_of_life.py [RESULT] [GENERATIONS]
"""

import sys

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpucore import Device, u32

SIDE = 120
GRID = (-(-SIDE // 16), -(-SIDE // 16))
LIFE = """
override SIDE: u32;
@group(0) @binding(0) var<storage, read> now: array<u32>;
@group(0) @binding(1) var<storage, read_write> next: array<u32>;

@compute @workgroup_size(16, 16)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x >= SIDE || id.y >= SIDE) { return; }
    var living = 0u;
    for (var dy = SIDE - 1u; dy <= SIDE + 1u; dy++) {
        for (var dx = SIDE - 1u; dx <= SIDE + 1u; dx++) {
            living += now[(id.y + dy) % SIDE * SIDE + (id.x + dx) % SIDE];
        }
    }
    let cell = now[id.y * SIDE + id.x];  // counted with its neighbours above
    next[id.y * SIDE + id.x] = u32(living == 3u || (living == 4u && cell == 1u));
}
"""


def step(cells: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Compute one generation with NumPy."""
    living = sum(np.roll(cells, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
    return np.asarray((living == 3) | ((living == 4) & (cells == 1)), np.uint32)


def main(result: str = "game_of_life.png", generations: str = "100") -> None:
    """Run from a random start, compare with NumPy, and write the last generation."""
    device = Device.auto()
    cells = (np.random.default_rng(1).random((SIDE, SIDE)) < 0.3).astype(np.uint32)
    a, b = device.buffer_from_array(cells), device.buffer(u32, cells.shape)
    life = device.compile_kernel(LIFE, constants={"SIDE": SIDE})
    with device.capture() as graph:  # two generations, recorded once
        life(a, b, grid=GRID)
        life(b, a, grid=GRID)
    for _ in range(int(generations) // 2):
        graph.replay()
        cells = step(step(cells))
    assert np.array_equal(a.read(), cells)
    Image.fromarray((255 * a.read()).astype(np.uint8)).resize((4 * SIDE, 4 * SIDE), 0).save(result)
    print(f"{cells.sum()} cells live after {int(generations) // 2 * 2} generations: {result}")


if __name__ == "__main__":
    main(*sys.argv[1:])

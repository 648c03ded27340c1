"""Notes on missed goals: attempts, and the limit of each (see bench/results/README.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["NOTES", "Note", "note_of"]


@dataclass(frozen=True)
class Note:
    """A note on the goals whose names match ``pattern``, with ``*`` as in file names."""

    pattern: str
    subject: str
    tried: str
    limit: str


_UNKNOWN = Note("*", "Others", "not looked into", "not looked into")

# The first note that matches is used.
NOTES = (
    Note(
        "*: host time of a replayed UNet (wgpu)",
        "Host time of a replayed UNet through wgpu",
        "calls straight into wgpu-native, past wgpu-py",
        "wgpu's recording and checks, 4.8 µs a launch; hidden behind 42 ms of the card",
    ),
    Note(
        "*: first step, pipelines cached (cuda)",
        "First step through CUDA",
        "kernels and rendered shaders cached on disk, compiled modules kept; an H100 took 1.53 s, "
        "and 7.3 without cached kernels, where this H200 took 2.15",
        "most of it imports Python's modules, compiles none, and opens the card",
    ),
    Note(
        "*: host time of a replayed UNet (cuda)",
        "Host time of a replayed UNet through CUDA",
        "one launch of a CUDA graph a replay",
        "the driver's launch of a graph: 44 to 55 µs on four machines, by their processors",
    ),
    Note(
        "*: host time of a replayed UNet",
        "Host time of a replayed UNet",
        "encoding ahead, while the host waits; Python's part is 0.03 ms",
        "Dawn's and the driver's submission (1.04 of 1.05 ms on one processor)",
    ),
    Note(
        "gemm 4096x4096x4096 f16",
        "A matrix product of 4096³ in f16",
        "subgroups that only load (kept), slices further ahead, operands straight from storage, "
        "delayed workgroups, other mappings of lanes, persistent workgroups",
        "loads: Vulkan has 48 KiB of workgroup memory a multiprocessor and WGSL no `cp.async` or "
        "TMA, so a slice passes the memory pipe four times",
    ),
    Note(
        "gemm * f16",
        "Matrix products in f16 at the UNet's sizes",
        "smaller tiles with subgroups that only load and two teams that divide K (both kept), "
        "35 other tiles inside the networks, weights read ahead",
        "loads, as at 4096³; most have too few large tiles or too little of K",
    ),
    Note(
        "winograd by 4 *",
        "Winograd's convolutions by blocks of 4",
        "blocks of 2 (the UNet 0.2 ms slower), group norm inside the transforms, its moments "
        "left by them, sums in f16 (kept)",
        "its products' loads, and pixels that are moved 2.25 times over",
    ),
    Note(
        "winograd by 2 *",
        "Winograd's convolutions by blocks of 2",
        "blocks of 4 (the UNet 0.3 ms slower: more weights from memory), group norm inside the "
        "transforms, its moments left by them, sums in f16 (kept: 640 and 2560 channels quicker, "
        "1280 and 1920 slower)",
        "its products' loads, and pixels that are moved 4 times over",
    ),
    Note(
        "conv 3x3 2x8x8x*",
        "Convolutions of the smallest images",
        "K in 13 parts with all 128 rows in one tile (kept); 8 and 16 parts, teams, weights "
        "straight from memory, packed weights, slices further ahead",
        "weights come from memory once, and sums of parts take a second launch",
    ),
    Note(
        "conv 3x3 1x512x512x128->128 f16",
        "The VAE's largest convolution",
        "Winograd by 4 (282 µs; decoding 0.1 ms slower); pixels kept in workgroup memory for nine "
        "taps (20 of 282 µs)",
        "loads, as of products; Winograd moves pixels and sums 2.25 times over",
    ),
    Note(
        "cumsum along -1 67108864 f32",
        "cumsum along -1 67108864 f32",
        "longer groups of tiles (kept), other lengths of tiles, three windows, a tree of tiles, "
        "persistent workgroups, tickets",
        "one row's tiles wait for each other's sums as well as for bytes",
    ),
    Note(
        "image.erode 3 4x2160x3840x1 u8",
        "image.erode 3 4x2160x3840x1 u8",
        "strips of 4, 8 and 10 rows; one, two and eight strips or two columns a workgroup",
        "a copy of its 33 MB takes 18.3 µs at best, the goal would be 17.4",
    ),
    Note(
        "nn.avg_pool2d 3/2 32x112x112x128 f16",
        "nn.avg_pool2d 3/2 32x112x112x128 f16",
        "nine other blocks, counts as whole numbers",
        "not known",
    ),
    Note(
        "nn.conv2d 3x3 to 128 in 128 * f16",
        "nn.conv2d 3x3 to 128 in 128 * f16",
        "shorter strips, larger workgroups, wide words, packed weights, blocks",
        "not known",
    ),
    Note(
        "nn.conv2d 5x5 to 128 in 128 * f16",
        "nn.conv2d 5x5 to 128 in 128 * f16",
        "nothing of its own",
        "3.6 µs a tap, over twice what its multiplications need; why is not known",
    ),
    Note(
        "nn.conv_transpose2d 4x4/2 to 128 8x64x64x256 f16",
        "nn.conv_transpose2d 4x4/2 to 128 8x64x64x256 f16",
        "one product of 512 columns (144.5 µs); Winograd's sums alone would take 90",
        "the product's own limit, in two launches",
    ),
    Note(
        "fft 1x1024",
        "A lone row of 1024",
        "a single launch (kept)",
        "the launch: a row of 16 takes as long",
    ),
)


def note_of(name: str, notes: Iterable[Note] = NOTES) -> Note:
    """Return the first note whose pattern matches a goal's name, or an empty note."""
    return next((note for note in notes if fnmatchcase(name, note.pattern)), _UNKNOWN)

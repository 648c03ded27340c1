"""What was tried for goals that are missed, and what limits: bench/results/README.md in short."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["TEXTS", "Text", "text_of"]


@dataclass(frozen=True)
class Text:
    """Of the goals whose names ``pattern`` (as of files, with ``*``) fits."""

    pattern: str
    tried: str
    limit: str


_UNKNOWN = Text("*", "not looked into", "not looked into")

# The first that fits counts.
TEXTS = (
    Text(
        "*: host time of a replayed UNet (wgpu)",
        "calls straight into wgpu-native, past wgpu-py",
        "wgpu's recording and checks, 4.8 µs a launch; hidden behind 42 ms of the card",
    ),
    Text(
        "*: host time of a replayed UNet",
        "encoding ahead, while the host waits; Python's part is 0.03 ms",
        "Dawn's and the driver's submission (1.04 of 1.05 ms on one processor)",
    ),
    Text(
        "gemm 4096x4096x4096 f16",
        "subgroups that only load (kept), slices further ahead, operands straight from storage, "
        "delayed workgroups, other mappings of lanes, persistent workgroups",
        "loads: Vulkan has 48 KiB of workgroup memory a multiprocessor and WGSL no `cp.async` or "
        "TMA, so a slice passes the memory pipe four times",
    ),
    Text(
        "gemm * f16",
        "smaller tiles with subgroups that only load and two teams that divide K (both kept), "
        "35 other tiles inside the networks, weights read ahead",
        "loads, as at 4096³; most have too few large tiles or too little of K",
    ),
    Text(
        "winograd by 4 *",
        "blocks of 2 (the UNet 0.2 ms slower), group norm inside the transforms, its moments "
        "left by them, sums in f16 (kept)",
        "its products' loads, and pixels that are moved 2.25 times over",
    ),
    Text(
        "winograd by 2 *",
        "blocks of 4 (the UNet 0.3 ms slower: more weights from memory), group norm inside the "
        "transforms, its moments left by them, sums in f16 (kept: 640 and 2560 channels quicker, "
        "1280 and 1920 slower)",
        "its products' loads, and pixels that are moved 4 times over",
    ),
    Text(
        "conv 3x3 2x8x8x*",
        "K in 13 parts with all 128 rows in one tile (kept); 8 and 16 parts, teams, weights "
        "straight from memory, packed weights, slices further ahead",
        "weights come from memory once, and sums of parts take a second launch",
    ),
    Text(
        "conv 3x3 1x512x512x128->128 f16",
        "Winograd by 4 (282 µs; decoding 0.1 ms slower); pixels kept in workgroup memory for nine "
        "taps (20 of 282 µs)",
        "loads, as of products; Winograd moves pixels and sums 2.25 times over",
    ),
    Text(
        "cumsum along -1 67108864 f32",
        "longer groups of tiles (kept), other lengths of tiles, three windows, a tree of tiles, "
        "persistent workgroups, tickets",
        "one row's tiles wait for each other's sums as well as for bytes",
    ),
    Text(
        "image.erode 3 4x2160x3840x1 u8",
        "strips of 4, 8 and 10 rows; one, two and eight strips or two columns a workgroup",
        "a copy of its 33 MB takes 18.3 µs at best, the goal would be 17.4",
    ),
    Text(
        "nn.avg_pool2d 3/2 32x112x112x128 f16",
        "nine other blocks, counts as whole numbers",
        "not known",
    ),
    Text(
        "nn.conv2d 3x3 to 128 in 128 * f16",
        "shorter strips, larger workgroups, wide words, packed weights, blocks",
        "not known",
    ),
    Text(
        "nn.conv2d 5x5 to 128 in 128 * f16",
        "nothing of its own",
        "3.6 µs a tap, over twice what its multiplications need; why is not known",
    ),
    Text(
        "nn.conv_transpose2d 4x4/2 to 128 8x64x64x256 f16",
        "one product of 512 columns (144.5 µs); Winograd's sums alone would take 90",
        "the product's own limit, in two launches",
    ),
    Text("fft 1x1024", "a single launch (kept)", "the launch: a row of 16 takes as long"),
)


def text_of(name: str, texts: Iterable[Text] = TEXTS) -> Text:
    """The text of a goal; of one that nothing fits, that it was not looked into."""
    return next((text for text in texts if fnmatchcase(name, text.pattern)), _UNKNOWN)

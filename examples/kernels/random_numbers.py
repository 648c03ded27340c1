"""Random numbers: Philox, what is computed with it, and gradient noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpucore import (
    Array,
    Array2,
    atomic_add,
    barrier,
    dot,
    f32,
    global_id,
    gpu_function,
    gpu_kernel,
    i32,
    local_index,
    shared,
    u32,
    vec2f,
    vec2u,
    vec4u,
)

__all__ = ["monte_carlo_option", "monte_carlo_pi", "perlin", "random_words"]


@gpu_function
def high_word(a: u32, b: u32) -> u32:
    """Return the upper 32 bits of a product of 64, from products of halves."""
    low = (a & 0xFFFF) * (b & 0xFFFF)
    x = (a >> 16) * (b & 0xFFFF) + (low >> 16)
    y = (a & 0xFFFF) * (b >> 16) + (x & 0xFFFF)
    return (a >> 16) * (b >> 16) + (x >> 16) + (y >> 16)


@gpu_function
def philox(counter: vec4u, seed: vec2u) -> vec4u:
    """Return four random words by Philox4x32-10 (Salmon et al. 2011), as `gpustd.random` does."""
    c, key = counter, seed
    for _ in range(10):
        x, z = u32(c.x), u32(c.z)
        c = vec4u(
            high_word(z, u32(0xCD9E8D57)) ^ c.y ^ key.x,
            z * 0xCD9E8D57,
            high_word(x, u32(0xD2511F53)) ^ c.w ^ key.y,
            x * 0xD2511F53,
        )
        key += vec2u(0x9E3779B9, 0xBB67AE85)
    return c


@gpu_kernel
def random_words(seed: vec2u, words: Array[vec4u]) -> None:
    """Draw random words, four for each counter."""
    i = global_id.x
    if i < len(words):
        words[i] = philox(vec4u(i, 0, 0, 0), seed)


@gpu_kernel(workgroup_size=256)
def monte_carlo_pi(seed: vec2u, rounds: u32, inside: Array[u32]) -> None:
    """Count points of the unit square that lie in the quarter of a disk, two in each round.

    π is four times their share. Coordinates have 15 bits, so that the count is exact.
    """
    total = shared(u32, 1)
    if local_index == 0:
        total[0] = 0
    barrier()
    count = 0
    for i in range(rounds):
        words = philox(vec4u(global_id.x, i, 0, 0), seed) >> vec4u(17)
        squares = words * words
        count += u32(squares.x + squares.y < 1 << 30) + u32(squares.z + squares.w < 1 << 30)
    atomic_add(total[0], count)
    barrier()
    if local_index == 0:
        atomic_add(inside[0], total[0])


@dataclass
class Option:
    """A European call: prices of share and strike, interest, volatility, and years."""

    share: f32
    strike: f32
    rate: f32
    volatility: f32
    years: f32


@gpu_kernel
def monte_carlo_option(option: Option, seed: vec2u, payoffs: Array[f32]) -> None:
    """Draw what a call pays, discounted; their mean is its price. Normals by Box and Muller."""
    i = global_id.x
    if i >= len(payoffs):
        return
    words = philox(vec4u(i, 0, 0, 0), seed)
    u = (f32(words.x >> 9) + 0.5) / 8388608
    v = f32(words.y >> 9) / 8388608
    normal = math.sqrt(-2 * math.log(u)) * math.cos(2 * math.pi * v)
    drift = (option.rate - 0.5 * option.volatility**2) * option.years
    end = option.share * math.exp(drift + option.volatility * math.sqrt(option.years) * normal)
    payoffs[i] = math.exp(-option.rate * option.years) * max(end - option.strike, 0.0)


@gpu_function
def gradient(x: i32, y: i32) -> vec2f:
    """Return one of eight directions, by a hash of the corner of a cell."""
    h = u32(x) * 0x27D4EB2F ^ u32(y) * 0x165667B1
    h = (h ^ (h >> 15)) * 0x85EBCA77
    angle = f32((h >> 13) & 7) * (math.pi / 4)
    return vec2f(math.cos(angle), math.sin(angle))


@gpu_function
def corner(at: vec2f, x: i32, y: i32) -> float:
    """Return what one corner of a cell adds to the noise at a point."""
    return f32(dot(gradient(x, y), at - vec2f(f32(x), f32(y))))


@gpu_kernel
def perlin(scale: f32, octaves: u32, image: Array2[f32]) -> None:
    """Draw gradient noise (Perlin 1985, with the smoother fade of 2002) in several octaves."""
    row, column = global_id.y, global_id.x
    if row >= image.shape[0] or column >= image.shape[1]:
        return
    total, size, height = 0.0, scale, 1.0
    for _ in range(octaves):
        at = size * vec2f(f32(column), f32(row))
        x, y = i32(math.floor(at.x)), i32(math.floor(at.y))
        f = at - vec2f(f32(x), f32(y))
        fade = f * f * f * (f * (f * 6 - 15) + 10)
        upper = corner(at, x, y) * (1 - fade.x) + corner(at, x + 1, y) * fade.x
        lower = corner(at, x, y + 1) * (1 - fade.x) + corner(at, x + 1, y + 1) * fade.x
        total += height * (upper * (1 - fade.y) + lower * fade.y)
        size, height = 2 * size, 0.5 * height
    image[row, column] = total

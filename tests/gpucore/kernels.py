"""Small WGSL kernels that the tests of gpucore launch."""

from __future__ import annotations

# y = factor * x + shift over the elements of y; one uniform, one input, one output.
AFFINE = """\
struct Sizes { count: u32, factor: f32, shift: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> p: Sizes;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < p.count) {
        y[id.x] = p.factor * x[id.x] + p.shift;
    }
}
"""

# Adds one to each element in place.
INCREMENT = """\
@group(0) @binding(0) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&x)) {
        x[id.x] = x[id.x] + 1.0;
    }
}
"""

# Keeps a device busy: ``rounds`` of a hash for each element.
HASH = """\
struct Sizes { rounds: u32 }
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<uniform> p: Sizes;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    var h = id.x;
    for (var i = 0u; i < p.rounds; i++) {
        h = (h ^ (h >> 15u)) * 2246822519u + i;
    }
    if (id.x < arrayLength(&x)) {
        x[id.x] = h;
    }
}
"""

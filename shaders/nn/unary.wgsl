// An activation of every element: y = {{ function }}(x), in f32; a NaN stays one.
//% include "arrays/combination/wide.wgsl"
//% include "arrays/combination/each.wgsl"
//% include "nn/functions.wgsl"

struct Params { count: u32, a: f32, b: f32, c: f32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

fn one(v: f32) -> f32 { return kept(v, {{ function }}(v)); }

fn four(v: F) -> F { return F(one(v.x), one(v.y), one(v.z), one(v.w)); }

fn result(i: u32) -> W {
    let word = x[i];
//% if width == 8
    return packed(four(part0(word)), four(part1(word)));
//% else
    return packed(four(part0(word)));
//% endif
}

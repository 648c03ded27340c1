// Spectrum of n real numbers from that of their n / 2 pairs, each pair taken as a complex number:
// Z[k] and Z[n / 2 - k] give X[k] and X[n / 2 - k] (Press et al., Numerical Recipes, 12.3).
//
// Memory: x is (outer, n / 2, inner), y is (outer, n / 2 + 1, inner); an invocation makes two numbers
// of y. Limits: a row of 65535 workgroups, then the next row.
//% from "signal/butterflies.wgsl" import functions, roots
alias c64x1 = vec2<f32>;

struct Params { count: u32, inner: u32, period: u32, extent: u32, scale: f32, scale_im: f32 }

@group(0) @binding(0) var<storage, read> x: array<c64x1>;
@group(0) @binding(1) var<storage, read> halves: array<c64x1>;
@group(0) @binding(2) var<storage, read_write> y: array<c64x1>;
@group(0) @binding(3) var<uniform> params: Params;

{{ functions() }}
{{ roots("half_root", "halves", halves) }}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    if (index >= params.count) { return; }
    let outer = index / params.period;
    let rest = index - outer * params.period;
    let k = rest / params.inner;
    let inner = rest - k * params.inner;
    let mirrored = params.extent - k;
    let row = outer * params.extent;
    let a = x[(row + k) * params.inner + inner];
    var b = x[(row + select(mirrored, 0u, k == 0u)) * params.inner + inner];
    b.y = -b.y;
    let sum = a + b;
    let odd = times(turned(a - b), half_root(k));
    let scale = vec2<f32>(params.scale, params.scale_im);
    y[(row + outer + k) * params.inner + inner] = (sum + odd) * scale;
    let other = sum - odd;
    y[(row + outer + mirrored) * params.inner + inner] = vec2<f32>(other.x, -other.y) * scale;
}

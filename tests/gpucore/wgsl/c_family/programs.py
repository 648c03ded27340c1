"""A WGSL program that says nearly everything, for the C printer."""

from __future__ import annotations

__all__ = ["EVERYTHING"]

EVERYTHING = """
enable f16;
struct Deep { m: mat3x3f, n: mat2x2<f16>, @size(32) k: u32, v: vec3f, s: f32, @align(32) b: vec2u }
struct Tail { count: u32, items: array<Deep> }
struct Inputs { @builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u }
@group(0) @binding(0) var<storage, read> x: Tail;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> a: array<atomic<i32>>;
@group(0) @binding(3) var<uniform> u: array<vec4f, 3>;
override scale: f32 = 2;
override flag = true;
const table = array(1.0, 2.5, -3.0);
const odd = array<u32, 4>(1, 3, 5, 7);
const corner = vec3(1, 2, 3) * 2.0;
const fixed = Deep(mat3x3f(), mat2x2h(), 7, vec3f(1), 2, vec2u(3));
var<private> seen: array<i32, 4> = array(1, 2, 3, 4);
var<workgroup> words: array<array<u32, 8>, 4>;
var<workgroup> count: atomic<u32>;

fn poke(p: ptr<function, vec4f>, w: ptr<workgroup, array<array<u32, 8>, 4>>, i: i32) -> f32 {
    (*p).x += 1; p.y = 2; (*p)[i] *= 2.0;
    (*w)[0][1] |= 3u; w[1][2] <<= 2u;
    return (*p).x;
}
fn last(t: ptr<storage, Tail>) -> u32 { return t.items[arrayLength(&t.items) - 1].k; }
fn put(p: ptr<storage, array<f32>, read_write>, i: u32) { (*p)[i] = f32(arrayLength(p)); }
fn put_last(p: ptr<storage, array<f32>, read_write>) { put(p, arrayLength(p) - last(&x)); }
fn side() -> u32 { seen[0]++; return 1u; }
fn halves(h: vec2<f16>) -> f32 { let r = fma(h, h, h) / h - h; return f32(r.x) + f32(max(r, h).y); }

@compute @workgroup_size(48)
fn main(
    inputs: Inputs,
    @builtin(global_invocation_id) id: vec3u,
    @builtin(local_invocation_index) li: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    var v = vec4(corner, scale);
    var acc = u[id.x % 3].x + f32(odd[li & 3]) + fixed.v.x + f32(n.x + inputs.group.y);
    let q = poke(&v, &words, 2);
    put_last(&y);
    let m = x.items[id.x].m * transpose(mat3x3f(1, 0, 0, 0, 1, 0, 0, 0, 1));
    let h = x.items[1].n * vec2h(1, 2.5h);
    acc += table[li % 3] + halves(h) + m[0].x + determinant(m) + f32(arrayLength(&x.items));
    seen[side()] += 4;
    loop {
        var t = acc;
        if (t > 4) { break; }
        acc += 1;
        if (acc > 3.5) { continue; }
        t = t + 2;
        continuing { acc += t * 0.5; break if acc > 100; }
    }
    switch li {
        case 0, 1: { acc = 1; }
        case 2u: { acc += 1; }
        default: { acc -= 1; if flag { break; } acc = 0; }
    }
    for (var i = 0; i < 4; i++) { if (i == 2) { continue; } acc += f32(seen[i]); }
    var i = 10;
    while i > 0 { i -= 3; }
    let f = frexp(acc);
    let parts = modf(vec2f(acc, 1.5));
    let exchanged = atomicCompareExchangeWeak(&a[0], 1, 2);
    if (exchanged.exchanged) { acc += f32(exchanged.old_value); }
    atomicAdd(&a[id.x], -5);
    atomicMax(&count, li);
    workgroupBarrier();
    storageBarrier();
    let b = select(vec3(1, 2, 3), vec3(4), vec3(true, false, true));
    acc += f32(b.y) + f.fract + f32(f.exp) + parts.whole.y + v.zyx.y;
    acc += f32(i32(-7) / (i - i)) + f32(7 % i) + f32((i << (li & 3u)) >> 1) + f32(u32(-1.5));
    acc += dot(v, v) + length(v.xyz) + f32(dot(vec2i(1, 2), vec2i(3, 4))) + pow(2, acc);
    acc += smoothstep(0, 1, acc) + mix(v, v, 0.5).x + f32(extractBits(li, 2, 3)) + tanh(v).x;
    acc += unpack4x8snorm(li).x + f32(all(v == v)) + cross(v.xyz, corner).x + reflect(v, v).x;
    acc += refract(v.xyz, v.xyz, 0.5).x + ldexp(acc, 3) + f32(firstLeadingBit(-5)) + sign(acc);
    acc += f32(-i % 3) + fma(1, 2, acc) + f32(~li) + f32(!flag) + quantizeToF16(acc);
    acc += f32(countOneBits(vec2u(3, 5)).y) + f32(pack2x16float(v.xy)) + f32(pack4x8unorm(v));
    acc += f32(workgroupUniformLoad(&words)[0][3]) + f32(insertBits(li, 3u, 1, 2));
    acc += f32(dot4I8Packed(li, 5u)) + f32(bitcast<vec2u>(v.xy).x) + f32(vec3i(v.xyz).x & 3);
    acc += subgroupAdd(acc) + subgroupExclusiveAdd(acc) + subgroupShuffleXor(v, 1).x;
    acc += f32(subgroupBallot(acc > 1).x) + f32(subgroupMax(vec2u(li)).y) + f32(subgroupAll(flag));
    acc += subgroupBroadcast(acc, 3) + quadSwapX(acc) + f32(subgroupElect());
    y[id.x] = acc + q;
    y[id.x + 1] += 2;
}
"""

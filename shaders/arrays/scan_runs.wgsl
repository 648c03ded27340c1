//% if width == 4
// Scans with one invocation for each run and word of four beside, from the run's first element
//% else
// Scans with one invocation for each run and element beside, from the run's first element
//% endif
// to its last: no barriers. Lanes stand side by side along the inner axes.
//
// Memory: `before` has for each run of `chunk` what all runs before it come to, (outer, chunks, inner).
// Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% import "arrays/words.wgsl" as typed
//% set neutral = {"add": "0", "mul": "1", "max": "0", "custom": identity | default("")}[combine]
//% include "arrays/scan.wgsl"

struct Params {
    n: u32,
    inner: u32,
    chunk: u32,
    chunks: u32,
    count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<{{ typed.storage[kind] }}>;
//% if many
//% if kind == "parts"
@group(0) @binding(1) var<storage, read> before: array<c64x1>;
//% else
@group(0) @binding(1) var<storage, read> before: array<{{ acc }}>;
//% endif
//% endif
@group(0) @binding({{ 2 if many else 1 }}) var<storage, read_write> y: array<{{ "c64x1" if kind == "parts" else target }}>;
//% if many
@group(0) @binding(3) var<uniform> params: Params;
//% else
@group(0) @binding(2) var<uniform> params: Params;
//% endif

//% if many
//% if kind == "parts"
fn before_of(i: u32) -> {{ acc }} { return before[i >> 1u][i & 1u]; }
//% else
fn before_of(i: u32) -> {{ acc }} { return before[i]; }
//% endif

//% endif
//% if first
fn put(i: u32, v: {{ typed.element[kind] }}) {
//% else
fn put(i: u32, v: {{ acc }}) {
//% endif
//% if kind == "parts"
    y[i >> 1u][i & 1u] = (v);
//% else
    y[i] = {{ target }}(v);
//% endif
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * 64u);
    if (i >= params.count) { return; }
//% if width == 4
    let beside = params.inner / 4u;
//% else
    let beside = params.inner;
//% endif
    let j = i % beside;
    let run = i / beside;
    let chunk = run % params.chunks;
    let o = run / params.chunks;
    let begin = chunk * params.chunk;
    let end = min(params.n, begin + params.chunk);
//% if many and width == 4
    let p = 4u * i;
    var whole = A(before_of(p), before_of(p + 1u), before_of(p + 2u), before_of(p + 3u));
//% elif many
    var whole = A(before_of(i));
//% else
    var whole = A({{ neutral }});
//% endif
    for (var k = begin; k < end; k++) {
        let at = (o * params.n + k) * beside + j;
//% if width == 4
        let word = x[at];
        let next = sum_of(whole, mapped({{ typed.loaded(kind, "word") }}));
//% if exclusive
        let shown = finished(whole);
//% else
        let shown = finished(next);
//% endif
        for (var c = 0u; c < 4u; c++) { put(4u * at + c, shown[c]); }
//% else
        let v = {{ typed.at(kind, "x", "at") }};
        let next = sum_of(whole, mapped({{ typed.value[kind] }}(v)));
//% if exclusive
        put(at, finished(whole).x);
//% else
        put(at, finished(next).x);
//% endif
//% endif
        whole = next;
    }
}

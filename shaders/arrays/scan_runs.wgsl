// Scans with one invocation for each run and {{ "word of four" if width == 4 else "element" }} beside, from the run's first element
// to its last: no barriers. Lanes stand side by side along the inner axes.
//
// Memory: `before` has for each run of `chunk` what all runs before it come to, (outer, chunks, inner).
// Limits: 2^32 elements; a row of 65535 workgroups, then the next.
//% import "arrays/words.wgsl" as typed
//% set neutral = {"add": "0", "mul": "1", "max": "0"}[combine]
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
@group(0) @binding(1) var<storage, read> before: array<{{ "c64x1" if kind == "parts" else acc }}>;
//% endif
@group(0) @binding({{ 2 if many else 1 }}) var<storage, read_write> y: array<{{ "c64x1" if kind == "parts" else target }}>;
@group(0) @binding({{ 3 if many else 2 }}) var<uniform> params: Params;

//% if many
fn before_of(i: u32) -> {{ acc }} { return before[{{ "i >> 1u][i & 1u" if kind == "parts" else "i" }}]; }

//% endif
fn put(i: u32, v: {{ typed.element[kind] if first else acc }}) {
    y[{{ "i >> 1u][i & 1u" if kind == "parts" else "i" }}] = {{ "" if kind == "parts" else target }}(v);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * 64u);
    if (i >= params.count) { return; }
    let beside = params.inner{{ " / 4u" if width == 4 else "" }};
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
        let shown = finished({{ "whole" if exclusive else "next" }});
        for (var c = 0u; c < 4u; c++) { put(4u * at + c, shown[c]); }
//% else
        let v = {{ typed.at(kind, "x", "at") }};
        let next = sum_of(whole, mapped({{ typed.value[kind] }}(v)));
        put(at, finished({{ "whole" if exclusive else "next" }}).x);
//% endif
        whole = next;
    }
}

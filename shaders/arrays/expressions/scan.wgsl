//% if mode == "totals"
// A user's scan, first pass: what each run of {{ run }} elements of the axis comes to.
//% else
// A user's scan along an axis: an invocation takes a run of {{ run }} elements in order, from what is before it.
//% endif
// Elements are (outer, n, inner) of the shape that operands broadcast to.
//
// Memory: operands as arrays/words.wgsl has them, read element by element; y is a row of single elements.
// Limits: 2^32 - 2^11 elements; a row of 65535 workgroups, then the next.
//% import "arrays/words.wgsl" as typed
//% set kind = kinds.split()
//% set name = names.split()
//% set stored_type = {"c64": "c64x1"}.get(stored, stored)
//% set final = first and mode != "totals"
{{ typed.head(kind + [stored]) }}
alias c64x1 = vec2<f32>;
//% for each in aliases.split()
alias {{ each.split("=")[0] }} = {{ each.split("=")[1] }};
//% endfor
alias Accumulator = {{ acc }};

struct Params {
    count: u32,
    n: u32,
    inner: u32,
    chunks: u32,
//% if first
//% for axis in range(rank)
    extent{{ axis }}: u32,
//% endfor
//% for k in range(name | length)
//% if buffers[k] == "n"
    number{{ k }}: {{ typed.element[kind[k]] }},
//% else
//% for axis in range(rank)
    stride{{ k }}_{{ axis }}: u32,
//% endfor
//% endif
//% endfor
//% endif
}

//% set place = namespace(next=0)
//% if first
//% for k in range(name | length)
//% if buffers[k] == "b"
@group(0) @binding({{ place.next }}) var<storage, read> x{{ k }}_: array<{{ typed.storage[kind[k]] }}>;
//% set place.next = place.next + 1
//% endif
//% endfor
//% else
@group(0) @binding(0) var<storage, read> x0_: array<Accumulator>;
//% set place.next = 1
//% endif
//% if starts
@group(0) @binding({{ place.next }}) var<storage, read> before_: array<Accumulator>;
//% set place.next = place.next + 1
//% endif
//% if final
@group(0) @binding({{ place.next }}) var<storage, read_write> y_: array<{{ stored_type }}>;
//% else
@group(0) @binding({{ place.next }}) var<storage, read_write> y_: array<Accumulator>;
//% endif
@group(0) @binding({{ place.next + 1 }}) var<uniform> params: Params;

{{ preamble }}
fn combined(a: Accumulator, b: Accumulator) -> Accumulator { return {{ reduce }}; }

fn neutral() -> Accumulator { return Accumulator({{ identity }}); }

//% if final
fn finished(a: Accumulator) -> {{ value }} { return {{ value }}({{ finish }}); }

fn put(at: u32, v: Accumulator) {
//% if stored == "f16"
    y_[at] = f16(finished(v));
//% else
    y_[at] = finished(v);
//% endif
}
//% else
fn put(at: u32, v: Accumulator) { y_[at] = v; }
//% endif

//% if first
fn mapped(
    i: u32,
    n: u32,
//% for each in name
    {{ each }}: {{ typed.element[kind[loop.index0]] }},
//% endfor
) -> Accumulator {
    return Accumulator({{ map }});
}

//% for k in range(name | length)
//% if buffers[k] == "b"
fn place{{ k }}(index: u32) -> u32 {
    var rest = index;
    var at = 0u;
//% for axis in range(rank - 1, -1, -1)
    at += rest % params.extent{{ axis }} * params.stride{{ k }}_{{ axis }};
    rest /= params.extent{{ axis }};
//% endfor
    return at;
}

//% endif
//% endfor
//% endif
// What is combined: element `at` of the operands, k along the axis, or what a run came to.
fn element_at(at: u32, k: u32) -> Accumulator {
//% if first
//% for k in range(name | length)
//% if buffers[k] == "b"
    let at{{ k }} = place{{ k }}(at);
//% endif
//% endfor
    return mapped(
        k,
        params.n,
//% for k in range(name | length)
//% if buffers[k] == "b"
        {{ typed.at(kind[k], "x%d_" % k, "at%d" % k) }},
//% else
        params.number{{ k }},
//% endif
//% endfor
    );
//% else
    return x0_[at];
//% endif
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let run = id.x + id.y * (65535u * 64u);
    if (run >= params.count) { return; }
    let j = run % params.inner;
    let chunk = run / params.inner % params.chunks;
    let o = run / params.inner / params.chunks;
    let begin = chunk * {{ run }}u;
    let end = min(params.n, begin + {{ run }}u);
//% if starts
    var sum = before_[run];
//% else
    var sum = neutral();
//% endif
    for (var k = begin; k < end; k++) {
        let at = (o * params.n + k) * params.inner + j;
//% if mode == "totals"
        sum = combined(sum, element_at(at, k));
//% elif mode == "exclusive"
        let v = element_at(at, k);
        put(at, sum);
        sum = combined(sum, v);
//% else
        sum = combined(sum, element_at(at, k));
        put(at, sum);
//% endif
    }
//% if mode == "totals"
    put(run, sum);
//% endif
}

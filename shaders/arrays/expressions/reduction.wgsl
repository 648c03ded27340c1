//% if rows
// A user's fold over axes: {{ lanes }} lanes of a workgroup read a run of the reduced axes side by side, fold
// what they read, and meet in a tree.
//% else
// A user's fold over axes: an invocation folds a run of the reduced axes in order.
//% endif
// Results are (kept axes, chunks); the next pass folds the chunks.
//
// Memory: operands as arrays/words.wgsl has them, read element by element through strides of the kept
// and the reduced axes; y is a row of single elements.
// Limits: 2^32 - 2^11 results and elements of each; a row of 65535 workgroups, then the next.
//% import "arrays/words.wgsl" as typed
//% set kind = kinds.split()
//% set name = names.split()
//% set stored_type = {"c64": "c64x1"}.get(stored, stored)
{{ typed.head(kind + [stored]) }}
alias c64x1 = vec2<f32>;
//% for each in aliases.split()
alias {{ each.split("=")[0] }} = {{ each.split("=")[1] }};
//% endfor
alias Accumulator = {{ acc }};

struct Params {
    count: u32,
    n: u32,
    whole: u32,
    run: u32,
    chunks: u32,
//% if first
//% for group, rank in (("kept", kept), ("reduced", reduced))
//% for axis in range(rank)
    {{ group }}{{ axis }}: u32,
//% endfor
//% for k in range(name | length)
//% if buffers[k] == "b"
//% for axis in range(rank)
    {{ group }}{{ axis }}_{{ k }}: u32,
//% endfor
//% endif
//% endfor
//% endfor
//% for k in range(name | length)
//% if buffers[k] == "n"
    number{{ k }}: {{ typed.element[kind[k]] }},
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
//% if last
@group(0) @binding({{ place.next }}) var<storage, read_write> y_: array<{{ stored_type }}>;
//% else
@group(0) @binding({{ place.next }}) var<storage, read_write> y_: array<Accumulator>;
//% endif
@group(0) @binding({{ place.next + 1 }}) var<uniform> params: Params;

{{ preamble }}
fn combined(a: Accumulator, b: Accumulator) -> Accumulator { return {{ reduce }}; }

fn neutral() -> Accumulator { return Accumulator({{ identity }}); }

//% if last
fn finished(a: Accumulator, n: u32) -> {{ value }} { return {{ value }}({{ finish }}); }
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
//% for group, rank in (("kept", kept), ("reduced", reduced))
fn {{ group }}_place{{ k }}(index: u32) -> u32 {
    var rest = index;
    var at = 0u;
//% for axis in range(rank - 1, -1, -1)
//% if axis
    at += rest % params.{{ group }}{{ axis }} * params.{{ group }}{{ axis }}_{{ k }};
    rest /= params.{{ group }}{{ axis }};
//% else
    at += rest * params.{{ group }}0_{{ k }};
//% endif
//% endfor
    return at;
}

//% endfor
//% endif
//% endfor
//% endif
// What folds: an element of the run of result o, or what the pass before left.
fn folded(o: u32, r: u32) -> Accumulator {
//% if first
//% for k in range(name | length)
//% if buffers[k] == "b"
    let at{{ k }} = kept_place{{ k }}(o) + reduced_place{{ k }}(r);
//% endif
//% endfor
    return mapped(
        r,
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
    return x0_[o * params.n + r];
//% endif
}

fn put(at: u32, v: Accumulator) {
//% if not last
    y_[at] = v;
//% elif stored == "f16"
    y_[at] = f16(finished(v, params.whole));
//% else
    y_[at] = finished(v, params.whole);
//% endif
}
//% if rows

const LANES = {{ lanes }}u;

var<workgroup> sums: array<Accumulator, LANES>;

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = group.x + group.y * 65535u;
    if (at >= params.count) { return; }
    let begin = at % params.chunks * params.run;
    let end = min(params.n, begin + params.run);
    var sum = neutral();
    for (var r = begin + lane; r < end; r += LANES) {
        sum = combined(sum, folded(at / params.chunks, r));
    }
    sums[lane] = sum;
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if (lane < step) { sums[lane] = combined(sums[lane], sums[lane + step]); }
    }
    if (lane == 0u) { put(at, sums[0]); }
}
//% else

@compute @workgroup_size({{ lanes }})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = id.x + id.y * (65535u * {{ lanes }}u);
    if (at >= params.count) { return; }
    let begin = at % params.chunks * params.run;
    let end = min(params.n, begin + params.run);
    var sum = neutral();
    for (var r = begin; r < end; r++) {
        sum = combined(sum, folded(at / params.chunks, r));
    }
    put(at, sum);
}
//% endif

// Body of kernels that make each pixel from one: `convert`, from {{ ci }} channel(s) of {{ source }} to {{ co }} of {{ target }}.
// An invocation takes four neighbouring pixels, which are whole words on both sides.
// {{ "The words of a workgroup go through workgroup memory, so that lanes read and write memory side by side." if staged else "Each reads and writes its own words, with no barrier, as a software renderer likes it." }}
//
// Memory: x and y are rows of words of four bytes. Workgroup memory: at most 8 KiB.
// Limits: 2^32 words.
//% include "image/words.wgsl"
//% set ins = ci if source == "u8" else 4 * ci
//% set outs = co if target == "u8" else 4 * co

const QUADS = 64u;
alias In = {{ "f32" if ci == 1 else "vec%d<f32>" % ci }};
alias Out = {{ "f32" if co == 1 else "vec%d<f32>" % co }};

struct Params { quads: u32, x_words: u32, y_words: u32 }

@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;
@group(0) @binding(2) var<uniform> params: Params;
//% if staged

var<workgroup> inbox: array<X, {{ 64 * ins }}>;
var<workgroup> outbox: array<Y, {{ 64 * outs }}>;
//% endif

//% macro word(n)
{{ "inbox[first + %du]" % n if staged else "x[min(first + %du, params.x_words - 1u)]" % n }}
//%- endmacro
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let run = group.x + group.y * 65535u;
//% if staged
    for (var k = lane; k < {{ 64 * ins }}u; k += QUADS) {
        inbox[k] = x[min(run * {{ 64 * ins }}u + k, params.x_words - 1u)];
    }
    workgroupBarrier();
    let first = lane * {{ ins }}u;
//% else
    let quad = run * QUADS + lane;
    if (quad >= params.quads) { return; }
    let first = quad * {{ ins }}u;
//% endif
//% for n in range(ins)
//% if source == "u8"
    let w{{ n }} = four_of({{ word(n) }});
//% else
    let w{{ n }} = {{ word(n) }};
//% endif
//% endfor
//% for p in range(4)
//% set parts = namespace(names=[])
//% for c in range(ci)
//% set e = p * ci + c
//% set parts.names = parts.names + ["w%d.%s" % (e // 4, "xyzw"[e % 4]) if source == "u8" else "w%d" % e]
//% endfor
    let p{{ p }} = convert(In({{ parts.names | join(", ") }}));
//% endfor
//% for n in range(outs)
//% set parts = namespace(names=[])
//% for k in range(4 if target == "u8" else 1)
//% set e = 4 * n + k if target == "u8" else n
//% set parts.names = parts.names + ["p%d%s" % (e // co, "" if co == 1 else "." + "xyzw"[e % co])]
//% endfor
//% set made = "packed(vec4<f32>(%s))" % (parts.names | join(", ")) if target == "u8" else parts.names[0]
//% if staged
    outbox[lane * {{ outs }}u + {{ n }}u] = {{ made }};
//% else
    if (quad * {{ outs }}u + {{ n }}u < params.y_words) { y[quad * {{ outs }}u + {{ n }}u] = {{ made }}; }
//% endif
//% endfor
//% if staged
    workgroupBarrier();
    for (var k = lane; k < {{ 64 * outs }}u; k += QUADS) {
        let at = run * {{ 64 * outs }}u + k;
        if (at < params.y_words) { y[at] = outbox[k]; }
    }
//% endif
}

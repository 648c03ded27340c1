// Body of kernels that make each pixel from one: `convert`, from {{ ci }} channel(s) of {{ source }} to {{ co }} of {{ target }}.
// An invocation takes {{ pixels }} neighbouring pixels, which are whole words on both sides.
// {{ {"both": "The words of a workgroup go through workgroup memory, so that lanes read and write memory side by side.", "result": "Words of the result go through workgroup memory, so that lanes write them side by side; reads that lie apart meet in the cache.", "": "Each reads and writes its own words, with no barrier."}[staged] }}
//
// Memory: x and y are rows of words of 16 bytes, or u8 of four. Workgroup memory: at most 8 KiB.
// Limits: 2^32 words.
//% set bytes = "u8x16" if pixels == 16 else "u8x4"
//% set wide = true
//% include "image/words.wgsl"
//% set mirrored = mirrored | default(false)
//% set whole = whole | default(false)
//% set box = "inbox" if source == target and ci == co else "outbox"

const LANES = {{ lanes }}u;
//% if whole
// Levels of u8 are integers.
//% else
// Levels of u8 are f32.
//% endif
//% set element = "u32" if whole else "f32"
//% if ci == 1
alias In = {{ element }};
//% else
alias In = vec{{ ci }}<{{ element }}>;
//% endif
//% if co == 1
alias Out = {{ element }};
//% else
alias Out = vec{{ co }}<{{ element }}>;
//% endif

// units: of {{ pixels }} pixels; run: those that change places with one another.
struct Params { units: u32, x_words: u32, y_words: u32, run: u32 }

@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;
@group(0) @binding(2) var<uniform> params: Params;
//% if staged == "both"

var<workgroup> inbox: array<X, {{ lanes * ci }}>;
//% endif
//% if staged == "result" or (staged == "both" and box == "outbox")

var<workgroup> {{ box }}: array<Y, {{ lanes * co }}>;
//% endif

// Where the source has a word of {{ ci }} in a unit.
fn origin(at: u32) -> u32 {
//% if mirrored
    let unit = at / {{ ci }}u;
    let first = unit / params.run * params.run;
    return min((2u * first + params.run - 1u - unit) * {{ ci }}u + at % {{ ci }}u, params.x_words - 1u);
//% else
    return min(at, params.x_words - 1u);
//% endif
}

@compute @workgroup_size({{ lanes }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = (group.x + group.y * 65535u) * LANES;
//% if staged == "both"
//% for n in range(ci)
    let x{{ n }} = x[origin(first * {{ ci }}u + lane + {{ lanes * n }}u)];
//% endfor
//% for n in range(ci)
    inbox[lane + {{ lanes * n }}u] = x{{ n }};
//% endfor
    workgroupBarrier();
//% elif not staged
    if (first + lane >= params.units) { return; }
//% endif
//% for n in range(ci)
//% if staged == "both"
    let i{{ n }} = inbox[lane * {{ ci }}u + {{ n }}u];
//% else
    let i{{ n }} = x[origin((first + lane) * {{ ci }}u + {{ n }}u)];
//% endif
//% endfor
//% set four = "levels_of" if whole else "four_of"
//% for n in range(ci * pixels // 4)
//% if source == "u8"
//% if pixels == 16
    let w{{ n }} = {{ four }}(i{{ n // 4 }}.{{ "xyzw"[n % 4] }});
//% else
    let w{{ n }} = {{ four }}(i{{ n }});
//% endif
//% else
    let w{{ n }} = i{{ n }};
//% endif
//% endfor
//% for p in range(pixels)
//% set parts = namespace(names=[])
//% for e in range(p * ci, p * ci + ci)
//% set parts.names = parts.names + ["w%d.%s" % (e // 4, "xyzw"[e % 4])]
//% endfor
//% if mirrored
    let p{{ pixels - 1 - p }} = convert(In({{ parts.names | join(", ") }}));
//% else
    let p{{ p }} = convert(In({{ parts.names | join(", ") }}));
//% endif
//% endfor
//% for n in range(co * pixels // 4)
//% set parts = namespace(names=[])
//% for e in range(4 * n, 4 * n + 4)
//% set parts.names = parts.names + ["p%d%s" % (e // co, "" if co == 1 else "." + "xyzw"[e % co])]
//% endfor
//% set made = "vec4<%s>(%s)" % (element, parts.names | join(", "))
//% if target == "f32"
    let v{{ n }} = {{ made }};
//% elif whole
    let v{{ n }} = joined({{ made }});
//% else
    let v{{ n }} = packed({{ made }});
//% endif
//% endfor
//% for n in range(co)
//% if pixels == 16
    let y{{ n }} = Y(v{{ 4 * n }}, v{{ 4 * n + 1 }}, v{{ 4 * n + 2 }}, v{{ 4 * n + 3 }});
//% else
    let y{{ n }} = v{{ n }};
//% endif
//% endfor
//% if staged
//% for n in range(co)
    {{ box }}[lane * {{ co }}u + {{ n }}u] = y{{ n }};
//% endfor
    workgroupBarrier();
//% endif
//% for n in range(co)
    {
//% if staged
        let at = first * {{ co }}u + lane + {{ lanes * n }}u;
        if (at < params.y_words) { y[at] = {{ box }}[lane + {{ lanes * n }}u]; }
//% else
        let at = (first + lane) * {{ co }}u + {{ n }}u;
        if (at < params.y_words) { y[at] = y{{ n }}; }
//% endif
    }
//% endfor
}

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
// Levels of u8 are {{ "integers" if whole else "f32" }}.
//% set element = "u32" if whole else "f32"
alias In = {{ element if ci == 1 else "vec%d<%s>" % (ci, element) }};
alias Out = {{ element if co == 1 else "vec%d<%s>" % (co, element) }};

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
    let i{{ n }} = {{ "inbox[lane * %du + %du]" % (ci, n) if staged == "both" else "x[origin((first + lane) * %du + %du)]" % (ci, n) }};
//% endfor
//% set four = "levels_of" if whole else "four_of"
//% for n in range(ci * pixels // 4)
//% if source == "u8"
    let w{{ n }} = {{ four }}(i{{ "%d.%s" % (n // 4, "xyzw"[n % 4]) if pixels == 16 else n }});
//% else
    let w{{ n }} = i{{ n }};
//% endif
//% endfor
//% for p in range(pixels)
//% set parts = namespace(names=[])
//% for e in range(p * ci, p * ci + ci)
//% set parts.names = parts.names + ["w%d.%s" % (e // 4, "xyzw"[e % 4])]
//% endfor
    let p{{ pixels - 1 - p if mirrored else p }} = convert(In({{ parts.names | join(", ") }}));
//% endfor
//% for n in range(co * pixels // 4)
//% set parts = namespace(names=[])
//% for e in range(4 * n, 4 * n + 4)
//% set parts.names = parts.names + ["p%d%s" % (e // co, "" if co == 1 else "." + "xyzw"[e % co])]
//% endfor
//% set made = "vec4<%s>(%s)" % (element, parts.names | join(", "))
    let v{{ n }} = {{ made if target == "f32" else "joined(%s)" % made if whole else "packed(%s)" % made }};
//% endfor
//% for n in range(co)
    let y{{ n }} = {{ "Y(v%d, v%d, v%d, v%d)" % (4 * n, 4 * n + 1, 4 * n + 2, 4 * n + 3) if pixels == 16 else "v%d" % n }};
//% endfor
//% if staged
//% for n in range(co)
    {{ box }}[lane * {{ co }}u + {{ n }}u] = y{{ n }};
//% endfor
    workgroupBarrier();
//% endif
//% for n in range(co)
    {
        let at = {{ "first * %du + lane + %du" % (co, lanes * n) if staged else "(first + lane) * %du + %du" % (co, n) }};
        if (at < params.y_words) { y[at] = {{ "%s[lane + %du]" % (box, lanes * n) if staged else "y%d" % n }}; }
    }
//% endfor
}

// Levels of u8 by a table of 256 for each image and channel, which a workgroup keeps in its memory, on GPUs.
//
// An invocation takes {{ units }} units of 16 levels.
// Memory: x and y are (images, size) units; levels (images, channels, 256). Workgroup memory: {{ channels }} KiB.
// Limits: images of whole units; a grid of (parts, images).

alias u8x16 = vec4<u32>;

// size: units of an image.
struct Params { size: u32 }

@group(0) @binding(0) var<storage, read> x: array<u8x16>;
@group(0) @binding(1) var<storage, read> levels: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u8x16>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> table: array<u32, {{ 256 * channels }}>;

fn made(unit: u32, v: vec4<u32>) -> vec4<u32> {
//% for c in range(channels)
//% if channels == 1
    let c{{ c }} = 0u;
//% else
    let c{{ c }} = {{ "(16u * unit + %du) %% %du * 256u" % (c, channels) }};
//% endif
//% endfor
    var result: vec4<u32>;
//% for n in range(4)
//% for k in range(4)
    let l{{ n }}_{{ k }} = table[c{{ (4 * n + k) % channels }} + ((v.{{ "xyzw"[n] }} >> {{ 8 * k }}u) & 255u)];
//% endfor
    result.{{ "xyzw"[n] }} = l{{ n }}_0 | (l{{ n }}_1 << 8u) | (l{{ n }}_2 << 16u) | (l{{ n }}_3 << 24u);
//% endfor
    return result;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = group.x * {{ 256 * units }}u + lane;
    let start = group.y * params.size;
    let last = params.size - 1u;
//% for n in range(units)
    let x{{ n }} = x[start + min(first + {{ 256 * n }}u, last)];
//% endfor
//% for c in range(channels)
    table[lane + {{ 256 * c }}u] = levels[(group.y * {{ channels }}u + {{ c }}u) * 256u + lane];
//% endfor
    workgroupBarrier();
//% for n in range(units)
    if (first + {{ 256 * n }}u <= last) { y[start + first + {{ 256 * n }}u] = made(first + {{ 256 * n }}u, x{{ n }}); }
//% endfor
}

// Bilinear images enlarged by whole factors: {{ factor_y }} along y, {{ factor_x }} along x.
//
// The results between four pixels are weighted sums of these, and the weights are constants. An
// invocation makes them all: first those between two neighbours of a row, then of these those between
// the rows. Beyond the edge lies the edge again.
//
// Memory: x is (N, height, width, units) words of up to 16 bytes, y {{ factor_y }} and {{ factor_x }} times as high and wide.
// Limits: 2^32 - 2^11 invocations; a row of 65535 workgroups, then the next.
//% include "arrays/combination/wide.wgsl"

struct Params { count: u32, units: u32, height: u32, width: u32 }

@group(0) @binding(0) var<storage, read> x: array<W>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

//% set parts = 2 if width == 8 else 1
// How far result k lies from the first of two pixels to the other.
//% macro share(k, factor)
{{ (k + 0.5 - (factor + 1) // 2) / factor + 0.5 }}
//% endmacro
//% macro between(a, b, k, factor)
{{ 1 - share(k, factor) | float }} * {{ a }} + {{ share(k, factor) | float }} * {{ b }}
//%- endmacro
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    if (index >= params.count) { return; }
    var rest = index / params.units;
    let c = index - rest * params.units;
    let column = rest % (params.width + 1u);
    rest /= params.width + 1u;
    let row = rest % (params.height + 1u);
    let image = rest / (params.height + 1u);
    let left = max(column, 1u) - 1u;
    let right = min(column, params.width - 1u);
    let above = (image * params.height + max(row, 1u) - 1u) * params.width;
    let below = (image * params.height + min(row, params.height - 1u)) * params.width;
    let a = x[(above + left) * params.units + c];
    let b = x[(above + right) * params.units + c];
    let d = x[(below + left) * params.units + c];
    let e = x[(below + right) * params.units + c];
//% for p in range(parts)
//% for k in range(factor_x)
    let above{{ k }}_{{ p }} = {{ between("part%d(a)" % p, "part%d(b)" % p, k, factor_x) }};
    let below{{ k }}_{{ p }} = {{ between("part%d(d)" % p, "part%d(e)" % p, k, factor_x) }};
//% endfor
//% endfor
    // The first results, modulo 2^32: some of the edge's lie outside.
    let y0 = row * {{ factor_y }}u - {{ (factor_y + 1) // 2 }}u;
    let x0 = column * {{ factor_x }}u - {{ (factor_x + 1) // 2 }}u;
    let out_height = params.height * {{ factor_y }}u;
    let out_width = params.width * {{ factor_x }}u;
//% for j in range(factor_y)
    if (y0 + {{ j }}u < out_height) {
        let line = (image * out_height + y0 + {{ j }}u) * out_width + x0;
//% for k in range(factor_x)
        if (x0 + {{ k }}u < out_width) {
            y[(line + {{ k }}u) * params.units + c] = packed(
//% for p in range(parts)
                {{ between("above%d_%d" % (k, p), "below%d_%d" % (k, p), j, factor_y) }},
//% endfor
            );
        }
//% endfor
    }
//% endfor
}

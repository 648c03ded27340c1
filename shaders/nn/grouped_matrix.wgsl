// Convolution in groups of {{ group }} channels on matrix units (Dawn): 16 pixels of a line by 16 channels at once.
//
// The weights of 16 channels' groups are blocks on the diagonal of a 16 x 16 matrix, one for each tap,
// which a subgroup holds in registers. It walks down a strip of the image, {{ rows }} row(s) of results a step,
// from pixels staged in workgroup memory, zeros where there are none; the next
// step's are on their way meanwhile. A pixel serves all rows of results that its taps lie in. Sums are in f32.
//
// Other groups' pixels are multiplied by zeros, which makes NaN of infinities and NaN: a step that stages
// one of those makes its results anew, product by product.
//
// Memory: as in nn/grouped.wgsl, in words of 8 channels. Workgroup memory: {{ 16 * words }} bytes.
// Limits: f16, as many inputs as outputs, channels multiples of 16, subgroups of 32.
//% set more = "strip: u32,"
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
alias f16x8 = vec4<u32>;
//% include "nn/window_params.wgsl"

@group(0) @binding(0) var<storage, read> x: array<f16x8>;
@group(0) @binding(1) var<storage, read> weight: array<f16x8>;
//% if bias
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
//% endif
@group(0) @binding(3) var<storage, read_write> y: array<f16x8>;
@group(0) @binding(4) var<uniform> params: Params;

//% set pitch = 3
//% set columns = 15 * stride_x + (kernel_x - 1) * dilation_x + 1
//% set lines = (rows - 1) * stride_y + (kernel_y - 1) * dilation_y + 1
//% set loads = (lines * columns * 2 + 31) // 32
var<workgroup> tile: array<vec4<u32>, {{ words }}>;

// One more than the last row of results from whose step on pixels are not all finite.
var<workgroup> unbounded: atomic<u32>;

// Whether one of eight f16 is infinite or NaN: all bits of its exponent are set.
fn not_finite(word: f16x8) -> bool {
    return any((((word & f16x8(0x7c007c00u)) + f16x8(0x04000400u)) & f16x8(0x80008000u)) != f16x8());
}

// Element `i` of a word.
fn element(word: f16x8, i: u32) -> f32 { return unpack2x16float(word[i / 2u])[i % 2u]; }

// The sum of one result, of channel c, product by product.
fn sum_of(image: u32, oy: u32, ox: u32, c: u32) -> f32 {
    var sum = 0.0;
    for (var ky = 0u; ky < {{ kernel_y }}u; ky++) {
        let row = u32(i32(oy * {{ stride_y }}u + ky * {{ dilation_y }}u) - params.before_y);
        for (var kx = 0u; kx < {{ kernel_x }}u; kx++) {
            let column = u32(i32(ox * {{ stride_x }}u + kx * {{ dilation_x }}u) - params.before_x);
            if (row >= params.size_y || column >= params.size_x) { continue; }
            let pixel = (image * params.size_y + row) * params.size_x + column;
            for (var i = 0u; i < {{ group }}u; i++) {
                let input = c / {{ group }}u * {{ group }}u + i;
                let w = weight[((ky * {{ kernel_x }}u + kx) * {{ group }}u + i) * params.units + c / 8u];
                sum = fma(element(x[pixel * params.units + input / 8u], input % 8u), element(w, c % 8u), sum);
            }
        }
    }
    return sum;
}

@compute @workgroup_size(32)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group.x + group.y * 65535u;
    if (index >= params.count) { return; }
    let blocks = params.units / 2u;
    let wide = (params.result_x + 15u) / 16u;
    let down = (params.result_y + params.strip - 1u) / params.strip;
    var rest = index / blocks;
    let first_word = (index - rest * blocks) * 2u;
    let x0 = rest % wide * 16u;
    rest /= wide;
    let image = rest / down;
    let top = (rest - image * down) * params.strip;
    let end = min(top + params.strip, params.result_y);

    // The taps' matrices, a line of them at a time.
    let input = lane / 2u;
    let half = lane % 2u;
    let outputs = vec4<u32>(0u, 2u, 4u, 6u) + vec4<u32>(8u * half);
    let mine = outputs / vec4<u32>({{ group }}u) == vec4<u32>(input / {{ group }}u);
    if (lane == 0u) { atomicStore(&unbounded, 0u); }
//% for ky in range(kernel_y)
    workgroupBarrier();
//% for kx in range(kernel_x)
    {
        let start = ({{ (ky * kernel_x + kx) * group }}u + input % {{ group }}u) * params.units + first_word;
        tile[{{ kx * 32 }}u + lane] = select(vec4<u32>(), weight[start + half], mine);
    }
//% endfor
    workgroupBarrier();
//% for kx in range(kernel_x)
    let b{{ ky }}_{{ kx }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&tile, {{ kx * 32 }}u, 2u);
//% endfor
//% endfor

    // An invocation stages the same word of some pixels.
    let word = lane % 2u;
    let first_x = i32(x0 * {{ stride_x }}u) - params.before_x;
    let line_words = params.size_x * params.units;
//% for i in range(loads)
    let pixel{{ i }} = lane / 2u + {{ i * 16 }}u;
    let line{{ i }} = pixel{{ i }} / {{ columns }}u;
    let column{{ i }} = u32(first_x + i32(pixel{{ i }} % {{ columns }}u));
//% if (i + 1) * 16 > lines * columns
    let in{{ i }} = column{{ i }} < params.size_x && pixel{{ i }} < {{ lines * columns }}u;
//% else
    let in{{ i }} = column{{ i }} < params.size_x;
//% endif
    let at{{ i }} = column{{ i }} * params.units + first_word + word;
    var v{{ i }} = vec4<u32>();
//% endfor
//% macro load(oy)
    {
        let first_y = i32(({{ oy }}) * {{ stride_y }}u) - params.before_y;
//% for i in range(loads)
        let row{{ i }} = u32(first_y) + line{{ i }};
        v{{ i }} = vec4<u32>();
        if (in{{ i }} && row{{ i }} < params.size_y && {{ oy }} < end) {
            v{{ i }} = x[(image * params.size_y + row{{ i }}) * line_words + at{{ i }}];
        }
//% endfor
    }
//% endmacro
{{ load("top") }}
//% if bias
    let low = bias[2u * (first_word + word)];
    let high = bias[2u * (first_word + word) + 1u];
//% endif
    for (var oy = top; oy < end; oy += {{ rows }}u) {
        workgroupBarrier();
//% for i in range(loads)
//% if (i + 1) * 16 > lines * columns
        if (pixel{{ i }} < {{ lines * columns }}u) { tile[pixel{{ i }} * {{ pitch }}u + word] = v{{ i }}; }
//% else
        { tile[pixel{{ i }} * {{ pitch }}u + word] = v{{ i }}; }
//% endif
//% endfor
        if ({% for i in range(loads) %}{{ " || " if i }}not_finite(v{{ i }}){% endfor %}) { atomicMax(&unbounded, oy + 1u); }
{{ load("oy + %du" % rows) }}
        workgroupBarrier();
//% for o in range(rows)
        var c{{ o }} = subgroup_matrix_result<f32, 16, 16>();
//% endfor
//% for r in range(lines)
//% set uses = []
//% for o in range(rows)
//% set d = r - o * stride_y
//% if d >= 0 and d % dilation_y == 0 and d // dilation_y < kernel_y
//% set _ = uses.append((o, d // dilation_y))
//% endif
//% endfor
//% for kx in range(kernel_x if uses else 0)
        let a{{ r }}_{{ kx }} = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&tile, {{ (r * columns + kx * dilation_x) * pitch }}u, {{ stride_x * pitch }}u);
//% for o, ky in uses
        c{{ o }} = subgroupMatrixMultiplyAccumulate(a{{ r }}_{{ kx }}, b{{ ky }}_{{ kx }}, c{{ o }});
//% endfor
//% endfor
//% endfor
//% for first in range(0, rows, held)
        workgroupBarrier();
//% for o in range(first, [first + held, rows] | min)
        subgroupMatrixStore<row_major>(&tile, {{ (o - first) * 80 }}u, c{{ o }}, 5u);
//% endfor
        workgroupBarrier();
//% for o in range(first, [first + held, rows] | min)
        {
            let pixel = lane / 2u;
            if (x0 + pixel < params.result_x && oy + {{ o }}u < end) {
                let start = {{ (o - first) * 80 }}u + pixel * 5u + word * 2u;
//% if bias
                let a = bitcast<vec4<f32>>(tile[start]) + low;
                let b = bitcast<vec4<f32>>(tile[start + 1u]) + high;
//% else
                let a = bitcast<vec4<f32>>(tile[start]);
                let b = bitcast<vec4<f32>>(tile[start + 1u]);
//% endif
                y[((image * params.result_y + oy + {{ o }}u) * params.result_x + x0 + pixel) * params.units + first_word + word] = f16x8(
                    pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw),
                );
            }
        }
//% endfor
//% endfor
        if (atomicLoad(&unbounded) == oy + 1u) {
            let ox = x0 + lane / 2u;
            for (var row = oy; row < min(oy + {{ rows }}u, end) && ox < params.result_x; row++) {
                var sums = vec4<u32>();
                for (var pair = 0u; pair < 4u; pair++) {
                    let c = 8u * (first_word + word) + 2u * pair;
                    var sum = vec2<f32>();
//% if bias
                    for (var i = 0u; i < 2u; i++) { sum[i] = sum_of(image, row, ox, c + i) + bias[c / 4u][c % 4u + i]; }
//% else
                    for (var i = 0u; i < 2u; i++) { sum[i] = sum_of(image, row, ox, c + i); }
//% endif
                    sums[pair] = pack2x16float(sum);
                }
                y[((image * params.result_y + row) * params.result_x + ox) * params.units + first_word + word] = sums;
            }
        }
    }
}

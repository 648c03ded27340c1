// Resizing f32 along both axes in one launch, for GPUs: the height into workgroup memory, then the width from there,
// in the order of sums of one axis after the other. Starts and weights are made by the host in float64.
//
// A workgroup walks down a strip, four rows of {{ places }} pixels a step. A lane folds the height for a word of four elements,
// which it loads once for all four rows; weights of rows that a result does not use are zero and passed over. Then
// lanes fold the width for elements side by side; even pixels lie before odd ones, as windows of neighbours begin
// two pixels apart where images are halved.
// Memory: x and y are (images, rows, row) elements, x in words of four; weights of the height are (fours of rows, {{ window }},
// 4), those of the width (taps, places). Workgroup memory: some {{ lanes * 64 // 1024 }} KiB.
// Limits: rows of the source of whole words; 2^32 elements; a grid of (tiles, strips, images).

// rows, width: of the result; across: words of the source's row; strip: rows of a workgroup.
struct Params { rows: u32, width: u32, x_rows: u32, across: u32, strip: u32 }

//% set line = 2 * half * channels
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> starts_y: array<u32>;
@group(0) @binding(2) var<storage, read> weights_y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> starts_x: array<u32>;
@group(0) @binding(4) var<storage, read> weights_x: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

var<workgroup> middle: array<f32, {{ 4 * line }}>;

// Where an element lies, with even pixels before odd ones.
fn spot(e: u32) -> u32 {
    let pixel = e / {{ channels }}u;
    return ((pixel & 1u) * {{ half }}u + (pixel >> 1u)) * {{ channels }}u + e % {{ channels }}u;
}

@compute @workgroup_size({{ lanes }})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let place0 = group.x * {{ places }}u;
    let base = starts_x[place0] * {{ channels }}u / 4u;
    let unit = min(base + lane, params.across - 1u);
    // The pixel in which the first word begins.
    let pixel0 = 4u * base / {{ channels }}u;
    let skip = 4u * base - pixel0 * {{ channels }}u;
//% for i in range(4)
    let spot{{ i }} = spot(skip + 4u * lane + {{ i }}u);
//% endfor
    let image = group.z * params.x_rows;
    let end = min((group.y + 1u) * params.strip, params.rows);
    for (var row = group.y * params.strip; row < end; row += 4u) {
        let top = starts_y[row];
//% for r in range(4)
        var sum{{ r }} = vec4<f32>();
//% endfor
//% for k in range(window)
        let v{{ k }} = x[(image + min(top + {{ k }}u, params.x_rows - 1u)) * params.across + unit];
//% endfor
//% for k in range(window)
        let w{{ k }} = weights_y[row / 4u * {{ window }}u + {{ k }}u];
//% endfor
//% for k in range(window)
//% for r in range(4)
        if (w{{ k }}.{{ "xyzw"[r] }} != 0.0) { sum{{ r }} += w{{ k }}.{{ "xyzw"[r] }} * v{{ k }}; }
//% endfor
//% endfor
        workgroupBarrier();
//% for r in range(4)
//% for i in range(4)
        middle[{{ r * line }}u + spot{{ i }}] = sum{{ r }}.{{ "xyzw"[i] }};
//% endfor
//% endfor
        workgroupBarrier();
        for (var e = lane; e < {{ places * channels }}u; e += {{ lanes }}u) {
            let place = place0 + e / {{ channels }}u;
            if (place >= params.width) { break; }
            let first = (starts_x[place] - pixel0) * {{ channels }}u + e % {{ channels }}u;
            let even = spot(first);
            let odd = spot(first + {{ channels }}u);
//% for r in range(4)
            var made{{ r }} = 0.0;
//% endfor
//% for k in range(taps_x)
            let w{{ k }} = weights_x[{{ k }}u * params.width + place];
//% for r in range(4)
//% if k % 2
            made{{ r }} += w{{ k }} * middle[odd + {{ r * line + k // 2 * channels }}u];
//% else
            made{{ r }} += w{{ k }} * middle[even + {{ r * line + k // 2 * channels }}u];
//% endif
//% endfor
//% endfor
            let goal = (group.z * params.rows + row) * (params.width * {{ channels }}u) + place0 * {{ channels }}u + e;
//% for r in range(4)
            if (row + {{ r }}u < end) { y[goal + {{ r }}u * (params.width * {{ channels }}u)] = made{{ r }}; }
//% endfor
        }
    }
}

// Products of views for software renderers: 4 x 4 results an invocation, no barrier, no workgroup memory.
//
// Memory: as in linalg/product.wgsl. Limits: a row of 65535 workgroups, then the next.
//% set vector = False
//% set complex = scalar == "c64"
//% include "linalg/product.wgsl"

const GROUP = 16u;

@compute @workgroup_size(GROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let cell = id.x + id.y * (65535u * GROUP);
    let across = (params.n + 3u) / 4u;
    let cells = across * ((params.m + 3u) / 4u);
    let index = cell / cells;
    if (index >= params.batch) { return; }
    let i0 = cell % cells / across * 4u;
    let j0 = cell % cells % across * 4u;
    if ((params.part == LOWER && j0 > i0 + 3u) || (params.part == UPPER && j0 + 3u < i0)) { return; }
    let a0 = a_first(index);
    let b0 = b_first(index);
//% for r in range(4)
    var at_a{{ r }} = a0 + min(i0 + {{ r }}u, params.m - 1u) * params.a_row;
    var at_b{{ r }} = b0 + min(j0 + {{ r }}u, params.n - 1u) * params.b_column;
    var re{{ r }} = vec4<f32>();
//% if complex
    var im{{ r }} = vec4<f32>();
//% endif
//% endfor
    for (var k = 0u; k < params.k; k++) {
//% for r in range(4)
        let x{{ r }} = element_of_a(at_a{{ r }});
        let y{{ r }} = element_of_b(at_b{{ r }});
        at_a{{ r }} += params.a_column;
        at_b{{ r }} += params.b_row;
//% endfor
//% if complex
        let y_re = vec4<f32>(y0.x, y1.x, y2.x, y3.x);
        let y_im = vec4<f32>(y0.y, y1.y, y2.y, y3.y);
//% for r in range(4)
        re{{ r }} = fma(vec4<f32>(x{{ r }}.x), y_re, fma(vec4<f32>(-x{{ r }}.y), y_im, re{{ r }}));
        im{{ r }} = fma(vec4<f32>(x{{ r }}.x), y_im, fma(vec4<f32>(x{{ r }}.y), y_re, im{{ r }}));
//% endfor
//% else
        let y = vec4<f32>(y0, y1, y2, y3);
//% for r in range(4)
        re{{ r }} = fma(vec4<f32>(x{{ r }}), y, re{{ r }});
//% endfor
//% endif
    }
    var res = array<vec4<f32>, 4>(re0, re1, re2, re3);
//% if complex
    var ims = array<vec4<f32>, 4>(im0, im1, im2, im3);
//% endif
    let c0 = c_first(index);
    for (var e = 0u; e < 16u; e++) {
//% if complex
        let sum = vec2<f32>(res[e / 4u][e % 4u], ims[e / 4u][e % 4u]);
//% else
        let sum = res[e / 4u][e % 4u];
//% endif
        store(sum, c0, i0 + e / 4u, j0 + e % 4u);
    }
}

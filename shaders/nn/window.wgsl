// Body of kernels that reduce windows of a channels-last image, for each channel alone. What is
// made of them is told by `start()`, `taken(sum, v)` (with weights `taken(sum, v, tap_weight(tap, c))`),
// `outside()` and `store(sum, position, c, z, y, x)`.
//
// Memory: x is (N, D, H, W, units) words, y (N, result_z, result_y, result_x, units).
// Limits: those of elementwise/flat.wgsl.
//% if block
// An invocation makes {{ rows }} x {{ columns }} neighbouring results and reads what their windows share once: a
// row of x at a time, all taps written out. The order of a sum is that of its taps in any block.
//% else
// One result an invocation, a loop over its taps: for software renderers and for large windows.
//% endif

@compute @workgroup_size({{ workgroup }})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * {{ workgroup }}u);
    if (index >= params.count) { return; }
//% if not block
//% set rows, columns = 1, 1
//% endif
    let across = (params.result_x + {{ columns - 1 }}u) / {{ columns }}u;
    let down = (params.result_y + {{ rows - 1 }}u) / {{ rows }}u;
    var rest = index / params.units;
    let c = index - rest * params.units;
    let x0 = rest % across * {{ columns }}u;
    rest /= across;
    let y0 = rest % down * {{ rows }}u;
    rest /= down;
    let z0 = rest % params.result_z;
    let image = rest / params.result_z;
    let first_z = i32(z0 * params.stride_z) - params.before_z;
//% if block
    let first_y = i32(y0 * {{ stride_y }}u) - params.before_y;
    let first_x = i32(x0 * {{ stride_x }}u) - params.before_x;
//% set read_rows = (rows - 1) * stride_y + (kernel_y - 1) * dilation_y + 1
//% set read_columns = (columns - 1) * stride_x + (kernel_x - 1) * dilation_x + 1
//% for a in range(rows)
//% for b in range(columns)
    var sum{{ a }}_{{ b }} = start();
//% endfor
//% endfor
//% for j in range(read_columns)
    let in{{ j }} = u32(first_x + {{ j }}) < params.size_x;
    let at{{ j }} = select(0u, u32(first_x + {{ j }}), in{{ j }}) * params.units + c;
//% endfor
    for (var kz = 0u; kz < params.kernel_z; kz++) {
        let z = u32(first_z + i32(kz * params.dilation_z));
        if (z >= params.size_z) { continue; }
        let plane = (image * params.size_z + z) * params.size_y;
//% if weighted
        let taps = kz * {{ kernel_y * kernel_x }}u;
//% endif
//% set held = weighted and kernel_y * kernel_x <= 9
//% if held
//% for tap in range(kernel_y * kernel_x)
        let w{{ tap }} = tap_weight(taps + {{ tap }}u, c);
//% endfor
//% endif
//% for r in range(read_rows)
//% set uses = []
//% for a in range(rows)
//% set d = r - a * stride_y
//% if d >= 0 and d % dilation_y == 0 and d // dilation_y < kernel_y
//% set _ = uses.append((a, d // dilation_y))
//% endif
//% endfor
//% if uses
        {
            let y = u32(first_y + {{ r }});
            let inside = y < params.size_y;
            let line = (plane + select(0u, y, inside)) * params.size_x * params.units;
//% for j in range(read_columns)
            let v{{ j }} = select(outside(), F(x[line + at{{ j }}]), inside && in{{ j }});
//% endfor
//% for a, ky in uses
//% for kx in range(kernel_x)
//% set tap = ky * kernel_x + kx
//% if weighted and not held
            let w{{ tap }} = tap_weight(taps + {{ tap }}u, c);
//% endif
//% for b in range(columns)
            sum{{ a }}_{{ b }} = taken(sum{{ a }}_{{ b }}, v{{ b * stride_x + kx * dilation_x }}{{ ", w%d" % tap if weighted }});
//% endfor
//% endfor
//% endfor
        }
//% endif
//% endfor
    }
//% for a in range(rows)
//% for b in range(columns)
    {
        let y = y0 + {{ a }}u;
        let x = x0 + {{ b }}u;
        if (y < params.result_y && x < params.result_x) {
            let at = ((image * params.result_z + z0) * params.result_y + y) * params.result_x + x;
            store(sum{{ a }}_{{ b }}, at, c, z0, y, x);
        }
    }
//% endfor
//% endfor
//% else
    let first_y = i32(y0 * params.stride_y) - params.before_y;
    let first_x = i32(x0 * params.stride_x) - params.before_x;
    var sum = start();
//% if weighted
    var tap = 0u;
//% endif
    for (var kz = 0u; kz < params.kernel_z; kz++) {
        let z = u32(first_z + i32(kz * params.dilation_z));
        for (var ky = 0u; ky < params.kernel_y; ky++) {
            let y = u32(first_y + i32(ky * params.dilation_y));
            let line = ((image * params.size_z + z) * params.size_y + y) * params.size_x;
            let inside = z < params.size_z && y < params.size_y;
            for (var kx = 0u; kx < params.kernel_x; kx++) {
                let column = u32(first_x + i32(kx * params.dilation_x));
                if (inside && column < params.size_x) {
                    sum = taken(sum, F(x[(line + column) * params.units + c]){{ ", tap_weight(tap, c)" if weighted }});
                }
//% if weighted
                tap++;
//% endif
            }
        }
    }
    store(sum, index / params.units, c, z0, y0, x0);
//% endif
}

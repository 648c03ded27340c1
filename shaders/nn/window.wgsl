// Body of kernels that reduce windows of a channels-last image, for each channel alone. What is
// made of them is told by `start()`, `taken(sum, v)` (with weights `taken(sum, v, tap_weight(tap, c))`),
// `outside()` and `store(sum, position, c, z, y, x)`, for values V = widened(word). Without weights sums
// are of type V, too, and their order is free. Where NaN is `marked`, `marks(v)` tell of it, and it is the
// result of `marked(sum, marks)`.
//
// Memory: x is (N, D, H, W, units) words of {{ width }} element(s), y (N, result_z, result_y, result_x, units).
// Limits: those of arrays/combination/flat.wgsl.
//% if block
// An invocation makes {{ columns }} neighbouring column(s) of `strip` results, {{ rows }} row(s) a step: it walks down
// the image, reads each row once and adds it to the sums of all windows that it lies in, tap
//% if ahead
// by tap, or without weights by the sum of its taps: in the same order in any block. A step's words are asked for a step before.
//% else
// by tap, or without weights by the sum of its taps: in the same order in any block.
//% endif
//% if lines
// Here a strip is one step, which reads all rows of its windows; {{ lines }} strips of a column lie side by side.
//% endif
//% if mends
// The sum of all that an invocation reads tells of NaN: where it is not finite, results are made anew.
//% endif
//% else
// One result an invocation, a loop over its taps: for software renderers and for large windows.
//% endif
//% if mends or not block

// Makes one result of an image, tap by tap.
fn make(image: u32, z0: u32, y0: u32, x0: u32, c: u32) {
    let first_z = i32(z0 * params.stride_z) - params.before_z;
    let first_y = i32(y0 * params.stride_y) - params.before_y;
    let first_x = i32(x0 * params.stride_x) - params.before_x;
    var sum = start();
//% if mends
    var bits = B();
//% endif
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
                    let v = widened(x[(line + column) * params.units + c]);
//% if weighted
                    sum = taken(sum, v, tap_weight(tap, c));
//% else
                    sum = taken(sum, v);
//% endif
//% if mends
                    bits |= marks(v);
//% endif
                }
//% if weighted
                tap++;
//% endif
            }
        }
    }
    let at = ((image * params.result_z + z0) * params.result_y + y0) * params.result_x + x0;
//% if mends
    store(marked(sum, bits), at, c, z0, y0, x0);
//% else
    store(sum, at, c, z0, y0, x0);
//% endif
}
//% endif

@compute @workgroup_size({{ workgroup }})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * {{ workgroup }}u);
    if (index >= params.count) { return; }
//% if not block
//% set columns = 1
//% set lines = 0
//% endif
    let across = (params.result_x + {{ columns - 1 }}u) / {{ columns }}u;
//% set below = lines or 1
    let down = (params.result_y + params.strip * {{ below }}u - 1u) / (params.strip * {{ below }}u);
    var rest = index / params.units;
    let c = index - rest * params.units;
//% if below > 1
    let line = rest % {{ below }}u;
    rest /= {{ below }}u;
//% endif
    let x0 = rest % across * {{ columns }}u;
    rest /= across;
//% if below > 1
    let top = {{ "(rest %% down * %du + line)" % below }} * params.strip;
//% else
    let top = rest % down * params.strip;
//% endif
    rest /= down;
    let z0 = rest % params.result_z;
    let image = rest / params.result_z;
//% if block
    let first_z = i32(z0 * params.stride_z) - params.before_z;
//% if below > 1
    if (top >= params.result_y) { return; }
//% endif
    let end = min(top + params.strip, params.result_y);
    let first_x = i32(x0 * {{ stride_x }}u) - params.before_x;
    let pitch = params.size_x * params.units;
//% set span_y = (kernel_y - 1) * dilation_y + 1
    // Results of earlier steps that a step's rows still belong to.
//% set carried = 0 if lines else [(span_y - 1) // stride_y, 0] | max
//% set read_rows = (rows - 1) * stride_y + span_y if lines else rows * stride_y
//% set read_columns = (columns - 1) * stride_x + (kernel_x - 1) * dilation_x + 1
//% for j in range(read_columns)
    let in{{ j }} = u32(first_x + {{ j }}) < params.size_x;
    let at{{ j }} = select(0u, u32(first_x + {{ j }}), in{{ j }}) * params.units + c;
//% endfor
    let whole = {% for j in range(read_columns) %}{{ " && " if j }}in{{ j }}{% endfor %};
//% set numbers = kernel_y * kernel_x * width if weighted and not deep else 0
//% set held = 0 < numbers <= 50
//% set packed = scalar == "f16" and width == 2 and 50 < numbers <= 100
//% for tap in range(kernel_y * kernel_x)
//% if held
    let w{{ tap }} = tap_weight({{ tap }}u, c);
//% elif packed
    let k{{ tap }} = weight[{{ tap }}u * params.units + c];
//% endif
//% endfor
//% if not deep
    let plane = (image * params.size_z + u32(first_z)) * params.size_y;
//% endif
//% if mends
    var seen = Seen();
//% endif
//% for a in range(carried + rows)
//% for b in range(columns)
    var sum{{ a }}_{{ b }} = start();
//% endfor
//% endfor
//% macro loaded(r)
//% for j in range(read_columns)
        let raw{{ r }}_{{ j }} = x[(plane + select(0u, row{{ r }}, in_row{{ r }})) * pitch + at{{ j }}];
//% endfor
//% endmacro
//% macro added(r, uses)
//% for j in range(read_columns)
        var v{{ j }} = widened(raw{{ r }}_{{ j }});
//% if mends
        seen = noticed(seen, v{{ j }});
//% endif
//% endfor
        if (!(whole && in_row{{ r }})) {
//% for j in range(read_columns)
            if (!(in{{ j }} && in_row{{ r }})) { v{{ j }} = outside(); }
//% endfor
        }
//% if not weighted
//% for b in range(columns)
        var line{{ b }} = v{{ b * stride_x }};
//% for kx in range(1, kernel_x)
        line{{ b }} = taken(line{{ b }}, v{{ b * stride_x + kx * dilation_x }});
//% endfor
//% endfor
//% endif
//% for a, ky in uses
//% if not weighted
//% for b in range(columns)
//% if ky == 0 and not deep
        sum{{ a }}_{{ b }} = line{{ b }};
//% else
        sum{{ a }}_{{ b }} = taken(sum{{ a }}_{{ b }}, line{{ b }});
//% endif
//% endfor
//% else
//% for kx in range(kernel_x)
//% set tap = ky * kernel_x + kx
//% if packed
        let w{{ tap }} = widened(k{{ tap }});
//% elif not held
//% if deep
        let w{{ tap }} = tap_weight(taps + {{ tap }}u, c);
//% else
        let w{{ tap }} = tap_weight({{ tap }}u, c);
//% endif
//% endif
//% for b in range(columns)
//% if weighted
        sum{{ a }}_{{ b }} = taken(sum{{ a }}_{{ b }}, v{{ b * stride_x + kx * dilation_x }}, w{{ tap }});
//% else
        sum{{ a }}_{{ b }} = taken(sum{{ a }}_{{ b }}, v{{ b * stride_x + kx * dilation_x }});
//% endif
//% endfor
//% endfor
//% endif
//% endfor
//% endmacro
//% set used = namespace(rows=[])
//% for r in range(read_rows)
//% set uses = []
//% for a in range(-carried, rows)
//% set d = r - a * stride_y
//% if d >= 0 and d % dilation_y == 0 and d // dilation_y < kernel_y
//% set _ = uses.append((a + carried, d // dilation_y))
//% endif
//% endfor
//% if uses
//% set used.rows = used.rows + [(r, uses)]
//% endif
//% endfor
//% if ahead and not deep
//% for r, uses in used.rows
    let begin{{ r }} = u32(i32(top * {{ stride_y }}u) - params.before_y + {{ r }});
//% for j in range(read_columns)
    var ahead{{ r }}_{{ j }} = x[(plane + select(0u, begin{{ r }}, begin{{ r }} < params.size_y)) * pitch + at{{ j }}];
//% endfor
//% endfor
//% endif
    for (var oy = top; oy < end + {{ carried }}u; oy += {{ rows }}u) {
        let first_y = i32(oy * {{ stride_y }}u) - params.before_y;
//% for a in range(carried, carried + rows)
//% for b in range(columns)
        sum{{ a }}_{{ b }} = start();
//% endfor
//% endfor
//% for r, uses in used.rows
        let row{{ r }} = u32(first_y + {{ r }});
        let in_row{{ r }} = row{{ r }} < params.size_y;
//% if ahead and not deep
//% for j in range(read_columns)
        let raw{{ r }}_{{ j }} = ahead{{ r }}_{{ j }};
//% endfor
//% elif not deep
{{ loaded(r) }}
//%- endif
//% endfor
//% if ahead and not deep
        let more = oy + {{ rows }}u < end + {{ carried }}u;
//% for r, uses in used.rows
        let next{{ r }} = row{{ r }} + {{ rows * stride_y }}u;
//% for j in range(read_columns)
        ahead{{ r }}_{{ j }} = x[(plane + select(0u, next{{ r }}, more && next{{ r }} < params.size_y)) * pitch + at{{ j }}];
//% endfor
//% endfor
//% endif
//% for r, uses in used.rows
//% if deep
    for (var kz = 0u; kz < params.kernel_z; kz++) {
        let z = u32(first_z + i32(kz * params.dilation_z));
        if (z >= params.size_z) { continue; }
        let plane = (image * params.size_z + z) * params.size_y;
//% if weighted
        let taps = kz * {{ kernel_y * kernel_x }}u;
//% endif
{{ loaded(r) }}
//%- else
    {
//% endif
{{ added(r, uses) }}
    }
//% endfor
//% for a in range(rows)
        {
            let y = oy + {{ a }}u - {{ carried }}u;
            if (y - top < end - top) {
                let at = ((image * params.result_z + z0) * params.result_y + y) * params.result_x + x0;
                store(sum{{ a }}_0, at, c, z0, y, x0);
//% for b in range(1, columns)
                if (x0 + {{ b }}u < params.result_x) { store(sum{{ a }}_{{ b }}, at + {{ b }}u, c, z0, y, x0 + {{ b }}u); }
//% endfor
            }
        }
//% endfor
//% for a in range(carried)
//% for b in range(columns)
        sum{{ a }}_{{ b }} = sum{{ a + rows }}_{{ b }};
//% endfor
//% endfor
    }
//% if mends
    if (suspect(seen)) {
        for (var y = top; y < end; y++) {
            for (var i = x0; i < min(x0 + {{ columns }}u, params.result_x); i++) { make(image, z0, y, i, c); }
        }
    }
//% endif
//% else
    make(image, z0, top, x0, c);
//% endif
}

// One pass of a Fourier transform with a column of {{ radix }} an invocation, in registers: no barrier and
// no workgroup memory. All passes of a software renderer, and the shortest transforms of a GPU.
// Memory: see below; between the passes, roots of unity come from tables made in float64.
// Limits: a row of 65535 workgroups of 64 columns, then the next row.
//% set near = false
//% set single = false
//% include "signal/ends.wgsl"

//% from "signal/butterflies.wgsl" import butterfly, roots
//% if far
{{ roots("far_root", "far", far) }}
//% endif
//% set names = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15"][:radix]
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * 64u);
    if (index >= params.count) { return; }
    let at = column_of(index);
//% for i in range(radix)
    var v{{ i }} = loaded(at, at.j + {{ i }}u * params.columns);
//% endfor
//% if far
    let m = at.j % params.done;
//% for i in range(1, radix)
    v{{ i }} = times(v{{ i }}, far_root({{ i }}u * m));
//% endfor
//% else
    let m = 0u;
//% endif
{{ butterfly(names) }}
    let first = (at.j - m) * {{ radix }}u + m;
//% for i in range(radix)
    store(at, first + {{ i }}u * params.done, v{{ i }});
//% endfor
}

// Whole transforms of rows of {{ radix }} numbers, each in the registers of one lane, for GPUs. Lanes load and store
// what lies side by side; on the way there and back workgroup memory makes rows of it.
// Where pairs of real numbers were transformed (target spectrum), Z[k] and Z[h - k] make X[k] and
// X[h - k] (Press et al., Numerical Recipes, 12.3).
// Memory: see below. Workgroup memory: {{ lanes }} rows an odd pitch apart, their real parts, then their imaginary ones.
// Limits: as many workgroups as a row of 65535, then the next row.
//% set near = false
//% set single = true
//% set columns = 1
//% include "signal/ends.wgsl"

//% from "signal/butterflies.wgsl" import butterfly
//% set results = radix + 1 if untangled else radix
//% set pitch = results + 1 - results % 2
//% set components = (".x", ".y")
//% set own = namespace(names=[])
//% for i in range(radix)
//% set own.names = own.names + ["v%d" % i]
//% endfor
const LANES = {{ lanes }}u;

var<workgroup> tile: array<f32, {{ lanes * pitch }}>;

// Where a lane's element i lies among the workgroup's, of rows of `size`.
//% macro row_of(i, size)
(t + {{ i * lanes }}u) / {{ size }}u
//%- endmacro
//% macro number_of(i, size)
(t + {{ i * lanes }}u) % {{ size }}u
//%- endmacro

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let start = (workgroup.x + workgroup.y * 65535u) * LANES;
    if (start >= params.count) { return; }
    let last = params.count - 1u;
//% for i in range(radix)
    var u{{ i }} = loaded(Column(min(start + {{ row_of(i, radix) }}, last), 0u, 0u), {{ number_of(i, radix) }});
    var v{{ i }} = vec2<f32>();
//% endfor
//% for part in components
//% if not loop.first
    workgroupBarrier();
//% endif
//% for i in range(radix)
    tile[{{ row_of(i, radix) }} * {{ pitch }}u + {{ number_of(i, radix) }}] = u{{ i }}{{ part }};
//% endfor
    workgroupBarrier();
//% for i in range(radix)
    v{{ i }}{{ part }} = tile[t * {{ pitch }}u + {{ i }}u];
//% endfor
//% endfor
{{ butterfly(own.names) }}
//% if untangled
    var v{{ radix }} = v0;
//% for k in range(radix // 2 + 1)
//% set image = radix - k
    {
        let z = v{{ k }};
        let other = vec2<f32>(v{{ image }}.x, -v{{ image }}.y);
        let sum = z + other;
        let odd = times(turned(z - other), half_root({{ k }}u));
        let back = sum - odd;
        v{{ k }} = sum + odd;
//% if image > k
        v{{ image }} = vec2<f32>(back.x, -back.y);
//% endif
    }
//% endfor
    var u{{ radix }} = vec2<f32>();
//% endif
//% for part in components
    workgroupBarrier();
//% for i in range(results)
    tile[t * {{ pitch }}u + {{ i }}u] = v{{ i }}{{ part }};
//% endfor
    workgroupBarrier();
//% for i in range(results)
    u{{ i }}{{ part }} = tile[{{ row_of(i, results) }} * {{ pitch }}u + {{ number_of(i, results) }}];
//% endfor
//% endfor
//% for i in range(results)
    if (start + {{ row_of(i, results) }} <= last) {
        store(Column(start + {{ row_of(i, results) }}, 0u, 0u), {{ number_of(i, results) }}, u{{ i }});
    }
//% endfor
}

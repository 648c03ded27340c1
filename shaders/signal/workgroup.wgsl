// One pass of a Fourier transform with {{ group }} columns of {{ radices }} a workgroup, for GPUs. {{ lanes }} lanes share a
// column: each holds some of its numbers in registers, does butterflies of one radix after the other
// (Stockham), and in between all lanes exchange through workgroup memory. So a column of up to
// thousands of numbers costs one reading and one writing of memory.
//
// Columns that are neighbours in memory belong to neighbouring lanes where the pass reads or writes
// across them ("columns"), lanes of one column where its numbers are neighbours ("rows"); a lane
// changes sides in the last exchange. Padding keeps both off each other's banks.
// Where pairs of real numbers were transformed ("untangled"), Z[k] and Z[h - k] make X[k] (Press et al.,
// Numerical Recipes, 12.3): a workgroup then takes columns j and T - j of the T together, half of each.
// Memory: see below. Workgroup memory: the columns, or, {{ "as here" if parts == 2 else "if that is too much" }}, their real and
// imaginary parts one after the other.
// Limits: as many workgroups as a row of 65535, then the next row.
//% set near = true
//% include "signal/ends.wgsl"

//% from "signal/butterflies.wgsl" import butterfly
//% set stages = radices.split("x") | map("int") | list
//% set length = extent
//% set names = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15"]
//% set P = namespace(done=1, offset=0)
//% set pad = stages[0] if stages[0] % 2 == 0 else 0
//% set pitch = length + (length // pad if pad else 0)
//% set padded = "i + i / %du" % pad if pad else "i"
//% set components = (".x", ".y") if parts == 2 else ("",)
//% set paired = untangled and reads == "columns"
//% set by_rows = reads == "rows" and writes == "rows"
//% set row = group + (1 if writes == "rows" else 0)

const LENGTH = {{ length }}u;
const LANES = {{ lanes }}u;
const GROUP = {{ group }}u;
//% if paired
const HALF = GROUP / 2u;
//% endif

var<workgroup> tile: array<{{ "f32" if parts == 2 else "vec2<f32>" }}, {{ pitch * (group if by_rows else row) }}>;

fn slot(column: u32, i: u32) -> u32 {
//% if by_rows
    return column * {{ pitch }}u + {{ padded }};
//% else
    return ({{ padded }}) * {{ row }}u + column;
//% endif
}

//% if untangled
fn mirrored(column: u32, j: u32, i: u32) -> u32 {
//% if paired
    if (j > 0u) { return slot((column + HALF) % GROUP, LENGTH - 1u - i); }
//% endif
    return slot(column, select(LENGTH - i, 0u, i == 0u));
}
//% endif

//% if untangled
fn store_untangled(at: Column, k: u32, z: vec2<f32>, mirror: vec2<f32>) {
    let other = vec2<f32>(mirror.x, -mirror.y);
    store(at, k, z + other + times(turned(z - other), half_root(k)));
    if (k == 0u) { store(at, params.y_extent - 1u, vec2<f32>(2.0 * (z.x - z.y), 0.0)); }
}
//% endif

//% macro guarded(R, b)
//%- if (b + 1) * lanes * R > length
    if (lane + {{ b * lanes }}u < {{ length // R }}u)
//%- endif
//% endmacro

//% macro write(R, done, part)
//% for b in range(-(-length // (R * lanes)))
    {{ guarded(R, b) }} {
        let n = lane + {{ b * lanes }}u;
        let m = n % {{ done }}u;
        let first = (n - m) * {{ R }}u + m;
//% for i in range(R)
        tile[slot(column, first + {{ i * done }}u)] = v{{ b * R + i }}{{ part }};
//% endfor
    }
//% endfor
//% endmacro

//% macro read(R, part)
//% for b in range(-(-length // (R * lanes)))
    {{ guarded(R, b) }} {
        let n = lane + {{ b * lanes }}u;
//% for i in range(R)
        {{ "u" if part else "v" }}{{ b * R + i }}{{ part }} = tile[slot(column, n + {{ i * (length // R) }}u)];
//% endfor
    }
//% endfor
//% endmacro

// Number i's mirror image, h - k where it is k: in the partner column, or for column 0 in its own.
//% macro read_mirrored(R, part)
//% for b in range(-(-length // (R * lanes)))
    {{ guarded(R, b) }} {
        let n = lane + {{ b * lanes }}u;
//% for i in range(R)
        u{{ b * R + i }}{{ part }} = tile[mirrored(column, at.j, n + {{ i * (length // R) }}u)];
//% endfor
    }
//% endfor
//% endmacro

//% macro side(kind)
//% if kind == "rows"
    column = t / LANES;
    lane = t % LANES;
//% else
    column = t % GROUP;
    lane = t / GROUP;
//% endif
//% endmacro

//% macro powers(R)
//% for i in range(3, R)
//% set high = 8 if i >= 8 else 4 if i >= 4 else 2
//% if i != high
        let w{{ i }} = times(w{{ high }}, w{{ i - high }});
//% endif
//% endfor
//% endmacro

@compute @workgroup_size(LANES * GROUP)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) t: u32,
) {
    let start = (workgroup.x + workgroup.y * 65535u) * {{ "HALF" if paired else "GROUP" }};
    if (start >= params.count) { return; }
    var column = 0u;
    var lane = 0u;
{{ side(reads) }}
//% for i in range(held)
    var v{{ i }} = vec2<f32>();
//% endfor
//% if parts == 2 or untangled
//% for i in range(held)
    var u{{ i }} = vec2<f32>();
//% endfor
//% endif
    // Lanes past the last column repeat it, since they take part in the barriers.
//% if paired
    // Pairs 0 and T / 2 are one column each.
    let pairs = params.period / 2u + 1u;
    let pair = min(start + column % HALF, params.count - 1u);
    let p = pair % pairs;
    let second = column >= HALF;
    let alone = p == 0u || 2u * p == params.period;
    let at = Column(pair / pairs, select(p, (params.period - p) % params.period, second), 0u);
    let idle = start + column % HALF >= params.count || (second && alone);
//% else
    var at = column_of(min(start + column, params.count - 1u));
//% endif

//% for R in stages
//% set first = loop.first
//% set butterflies = -(-length // (R * lanes))
//% if first
//% for b in range(butterflies)
    {{ guarded(R, b) }} {
//% for i in range(R)
        v{{ b * R + i }} = loaded(at, at.j + (lane + {{ b * lanes + i * (length // R) }}u) * params.columns);
//% endfor
    }
//% endfor
//% if far
    {
        let m = at.j % params.done;
        let step = m * {{ length // R }}u;
//% for i in (1, 2, 4, 8)
//% if i < R
        let w{{ i }} = far_root({{ i }}u * step);
//% endif
//% endfor
{{ powers(R) }}
//% for b in range(butterflies)
        {{ guarded(R, b) }} {
            let w0 = far_root(m * (lane + {{ b * lanes }}u));
            v{{ b * R }} = times(v{{ b * R }}, w0);
//% for i in range(1, R)
            v{{ b * R + i }} = times(v{{ b * R + i }}, times(w0, w{{ i }}));
//% endfor
        }
//% endfor
    }
//% endif
//% else
//% for b in range(butterflies)
    {{ guarded(R, b) }} {
        let m = (lane + {{ b * lanes }}u) % {{ P.done }}u + {{ P.offset }}u;
//% for i in (1, 2, 4, 8)
//% if i < R
        let w{{ i }} = near[m + {{ loop.index0 * P.done }}u];
//% endif
//% endfor
{{ powers(R) }}
//% for i in range(1, R)
        v{{ b * R + i }} = times(v{{ b * R + i }}, w{{ i }});
//% endfor
    }
//% endfor
//% set P.offset = P.offset + P.done * (4 if R > 8 else 3 if R > 4 else 2 if R > 2 else 1)
//% endif
//% for b in range(butterflies)
{{ butterfly(names[b * R : b * R + R]) }}
//% endfor

//% if not loop.last
//% set following = loop.nextitem
//% if parts == 2
{{ "" if first else "    workgroupBarrier();" }}
{{ write(R, P.done, ".x") }}
    workgroupBarrier();
//% if loop.index0 + 2 == stages | length and reads != writes
    let old_column = column;
    let old_lane = lane;
{{ side(writes) }}
//% endif
{{ read(following, ".x") }}
    workgroupBarrier();
//% if loop.index0 + 2 == stages | length and reads != writes
    let new_column = column;
    let new_lane = lane;
    column = old_column;
    lane = old_lane;
//% endif
{{ write(R, P.done, ".y") }}
    workgroupBarrier();
//% if loop.index0 + 2 == stages | length and reads != writes
    column = new_column;
    lane = new_lane;
//% endif
{{ read(following, ".y") }}
//% for i in range(held)
    v{{ i }} = u{{ i }};
//% endfor
//% else
{{ "" if first else "    workgroupBarrier();" }}
{{ write(R, P.done, "") }}
    workgroupBarrier();
//% if loop.index0 + 2 == stages | length
//% if reads != writes
{{ side(writes) }}
//% endif
//% endif
{{ read(following, "") }}
//% endif
//% else
//% if untangled
//% for part in components
    workgroupBarrier();
{{ write(R, P.done, part) }}
    workgroupBarrier();
{{ read_mirrored(R, part) }}
//% endfor
    if ({{ "idle" if paired else "start + column >= params.count" }}) { return; }
    let first = {{ "at.j" if paired else "0u" }};
//% for b in range(butterflies)
    {{ guarded(R, b) }} {
        let n = first + (lane + {{ b * lanes }}u) * params.done;
//% for i in range(R)
        store_untangled(at, n + {{ i * (length // R) }}u * params.done, v{{ b * R + i }}, u{{ b * R + i }});
//% endfor
    }
//% endfor
//% else
//% if reads != writes
    at = column_of(min(start + column, params.count - 1u));
//% endif
    if (start + column >= params.count) { return; }
    let m = {{ "at.j % params.done" if far else "0u" }};
    let first = (at.j - m) * LENGTH + m;
//% for b in range(butterflies)
    {{ guarded(R, b) }} {
        let n = first + (lane + {{ b * lanes }}u) * params.done;
//% for i in range(R)
        store(at, n + {{ i * (length // R) }}u * params.done, v{{ b * R + i }});
//% endfor
    }
//% endfor
//% endif
//% endif
//% set P.done = P.done * R
//% endfor
}

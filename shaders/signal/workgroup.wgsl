// One pass of a Fourier transform with {{ group }} columns of {{ radices }} a workgroup, for GPUs. {{ lanes }} lanes share a
// column: each holds some of its numbers in registers, does butterflies of one radix after the other
// (Stockham), and in between all lanes exchange through workgroup memory. So a column of up to
// thousands of numbers costs one reading and one writing of memory.
//
// Columns that are neighbours in memory belong to neighbouring lanes where the pass reads or writes
// across them ("columns"), lanes of one column where its numbers are neighbours ("rows"); a lane
// changes sides in the last exchange. Padding keeps both off each other's banks.
// Where pairs of real numbers were transformed ("untangled"), Z[k] and Z[h - k] make X[k] (Press et al.,
// Numerical Recipes, 12.3): a workgroup then takes columns j and T - j of the T together, half of each,
// or, of rows, a lane's last butterflies are each other's mirror images where there are enough ("folded").
// Rows that go "through" a factor for each number are transformed again, as conjugates, by the same
// radices in the reverse order: a lane's last butterfly is then its next first one.
// A workgroup that has a multiprocessor for itself asks for all roots "ahead" of its exchanges.
// Memory: see below. Workgroup memory: the columns, or, to have room for more workgroups, their real
// and imaginary parts one after the other, or those of the first and of the second half ({{ parts }} here).
// Limits: as many workgroups as a row of 65535, then the next row.
//% set near = true
//% include "signal/ends.wgsl"

//% from "signal/butterflies.wgsl" import butterfly
//% set stages = radices.split("x") | map("int") | list
//% set walk = stages + (stages | reverse | list if through else [])
//% set length = extent
//% set names = [
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
    "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"
]
//% set P = namespace(done=1, offset=0)
//% set turning = namespace(now=false)
//% set inner = "1u" if single else "params.inner"
//% set period = "%du" % columns if single else "params.period"
//% set pad = stages[0] if stages[0] % 2 == 0 else length
//% set paired = untangled and reads == "columns"
//% set by_rows = reads == "rows" and writes == "rows"
//% set turns = reads != writes
//% set halved = parts == 4
//% set per_lane = length // (stages[-1] * lanes)
//% set components = ("",) if parts == 1 else (".x", ".y")
//% set fetched = "v" if parts == 1 else "u"
//% set plain_source = source in ("complex", "real") and not load_by and not cropped_source
//% set plain_target = target in ("complex", "real") and not store_by and not cropped_target and not rows_target

const LENGTH = {{ length }}u;
const LANES = {{ lanes }}u;
const GROUP = {{ group }}u;
//% if paired
const HALF = GROUP / 2u;
//% endif

//% if parts == 1
var<workgroup> tile: array<vec2<f32>, {{ slots }}>;
//% else
var<workgroup> tile: array<f32, {{ slots }}>;
//% endif

// Slot of number i of a column; numbers that are a multiple of {{ pad }} apart lie as many slots apart anywhere.
fn slot(column: u32, i: u32) -> u32 {
//% if by_rows
//% if skew
    return column * {{ slots // group }}u + i + i / {{ pad }}u * {{ skew }}u;
//% else
    return column * {{ slots // group }}u + i;
//% endif
//% else
//% if skew
    return i * {{ pitch }}u + i / {{ pad }}u * {{ skew }}u + column;
//% else
    return i * {{ pitch }}u + column;
//% endif
//% endif
}

//% macro apart(i)
{{ i * pitch + i // pad * skew }}
//%- endmacro

//% macro step_count(R)
{{ (1, 2, 4, 8, 16) | select("lt", R) | list | length }}
//%- endmacro

//% if far
//% set after = step_count(stages[0]) | int * done
// What the first number of butterfly k of column m is multiplied by.
fn far_root(m: u32, k: u32) -> vec2<f32> {
//% if far == 1
    return far[m + k * {{ done }}u + {{ after }}u];
//% else
    return times(far[((m * k) & 4095u) + {{ after }}u], far[((m * k) >> 12u) + {{ after + 4096 }}u]);
//% endif
}
//% endif

//% if folded
// Z[k] and Z[h - k] of a row to X[k] and X[h - k].
fn store_pair(at: Column, k: u32, z: vec2<f32>, mirror: vec2<f32>) {
    let other = vec2<f32>(mirror.x, -mirror.y);
    let sum = z + other;
    let odd = times(turned(z - other), half_root(k));
    store(at, k, sum + odd);
    let back = sum - odd;
    store(at, LENGTH - k, vec2<f32>(back.x, -back.y));
}
//% elif untangled
fn mirrored(column: u32, j: u32, i: u32) -> u32 {
//% if paired
    if (j > 0u) { return slot((column + HALF) % GROUP, LENGTH - 1u - i); }
//% endif
    return slot(column, select(LENGTH - i, 0u, i == 0u));
}

fn store_untangled(at: Column, k: u32, z: vec2<f32>, mirror: vec2<f32>) {
    let other = vec2<f32>(mirror.x, -mirror.y);
    store(at, k, z + other + times(turned(z - other), half_root(k)));
    if (k == 0u) { store(at, params.y_extent - 1u, vec2<f32>(2.0 * (z.x - z.y), 0.0)); }
}
//% endif

//% macro guarded(R, b, by="lane")
//%- if (b + 1) * lanes * R > length
    if ({{ by }} + {{ b * lanes }}u < {{ length // R }}u)
//%- endif
//% endmacro

// Of half h of the numbers, where the exchange takes one after the other.
//% macro write(R, done, part, h)
//% for b in range(-(-length // (R * lanes)))
//% if halved
    if ((lane + {{ b * lanes }}u) / {{ length // (2 * R) }}u == {{ h }}u) {
//% else
    {{ guarded(R, b) }} {
//% endif
        let n = lane + {{ b * lanes }}u;
        let m = n % {{ done }}u;
        let first = slot(column, (n - m) * {{ R }}u + m) - {{ apart(h * length // 2) }}u;
//% for i in range(R)
        tile[first + {{ apart(i * done) }}u] = v{{ b * R + i }}{{ part }};
//% endfor
    }
//% endfor
//% endmacro

// Which butterfly a lane's number b is. Of folded ones the second half are the first half's mirror
// images; lane 0 has butterfly 0 and the middle one, each of which is its own image.
//% macro butterfly_of(R, b, by, folding)
//% set image = length // R - (b - per_lane // 2) * lanes
//% if not folding or b < per_lane // 2
{{ by }} + {{ b * lanes }}u
//% elif b > per_lane // 2
{{ image }}u - {{ by }}
//% else
select({{ image }}u - {{ by }}, {{ length // (2 * R) }}u, {{ by }} == 0u)
//% endif
//%- endmacro

//% macro read(R, part, h, folding)
//% set numbers = R // 2 if halved else R
//% set to = "to_" if turning.now else ""
//% for b in range(-(-length // (R * lanes)))
    {{ guarded(R, b, to ~ "lane") }} {
        let first = slot({{ to }}column, {{ butterfly_of(R, b, to ~ "lane", folding) }});
//% for i in range(numbers)
        {{ fetched }}{{ b * R + h * numbers + i }}{{ part }} = tile[first + {{ apart(i * (length // R)) }}u];
//% endfor
    }
//% endfor
//% endmacro

// Of butterfly j and its mirror image, in order of k but for lane 0.
//% macro store_pairs(R, j)
//% set image = (j + per_lane // 2) * R
//% set step = length // R
//% set middle = (R - 1) // 2
//% for i in range(R)
//% set k = "lane + %du" % (j * lanes + i * step)
//% set z = "v%d" % (j * R + i)
//% set mirror = "v%d" % (image + R - 1 - i)
//% if j
    store_pair(at, {{ k }}, {{ z }}, {{ mirror }});
//% elif i <= R // 2
    store_pair(at, {{ k }}, {{ z }}, select({{ mirror }}, v{{ (R - i) % R }}, lane == 0u));
//% else
//% set n = i - R // 2 - 1
    store_pair(
        at,
        select({{ k }}, {{ n * step + step // 2 }}u, lane == 0u),
        select({{ z }}, v{{ image + n }}, lane == 0u),
        select({{ mirror }}, v{{ image + R - 1 - n }}, lane == 0u),
    );
//% endif
//% endfor
//% if not j
    if (lane == 0u) {
        store_pair(at, {{ middle * step + step // 2 }}u, v{{ image + middle }}, v{{ image + R - 1 - middle }});
    }
//% endif
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

//% macro side(kind, prefix)
//% if kind == "rows"
    {{ prefix }}column = t / LANES;
    {{ prefix }}lane = t % LANES;
//% else
    {{ prefix }}column = t % GROUP;
    {{ prefix }}lane = t / GROUP;
//% endif
//% endmacro

// A root's powers 1, 2, 4, 8 and 16 below R, number m of as many rows of a table.
//% macro steps(table, R, columns)
//% for i in (1, 2, 4, 8, 16) if i < R
        let w{{ i }} = {{ table }}[m + {{ loop.index0 * columns }}u];
//% endfor
//% endmacro

//% macro powers(R)
//% for i in range(3, R)
//% set high = 16 if i >= 16 else 8 if i >= 8 else 4 if i >= 4 else 2
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
//% if paired
    let start = (workgroup.x + workgroup.y * 65535u) * HALF;
//% else
    let start = (workgroup.x + workgroup.y * 65535u) * GROUP;
//% endif
    if (start >= params.count) { return; }
    var column = 0u;
    var lane = 0u;
{{ side(reads, "") }}
//% if turns
    var to_column = 0u;
    var to_lane = 0u;
{{ side(writes, "to_") }}
//% endif
//% for i in range(held)
    var v{{ i }} = vec2<f32>();
//% endfor
//% if parts > 1 or untangled and not folded
//% for i in range(held)
    var u{{ i }} = vec2<f32>();
//% endfor
//% endif
    // Lanes past the last column repeat it, since they take part in the barriers.
//% if paired
    // Pairs 0 and T / 2 are one column each.
    let pairs = {{ period }} / 2u + 1u;
    let pair = min(start + column % HALF, params.count - 1u);
    let p = pair % pairs;
    let second = column >= HALF;
    let alone = p == 0u || 2u * p == {{ period }};
    let at = Column(pair / pairs, select(p, ({{ period }} - p) % {{ period }}, second), 0u);
    let idle = start + column % HALF >= params.count || (second && alone);
//% else
    var at = column_of(min(start + column, params.count - 1u));
//% endif

//% if ahead
//% for R in stages[1:]
//% set by = "to_lane" if turns and loop.last else "lane"
//% set stage = loop.index
//% set last = loop.last
//% set P.done = P.done * stages[loop.index0]
//% for b in range(-(-length // (R * lanes)))
    let near{{ stage }}_{{ b }} = ({{ butterfly_of(R, b, by, folded and last) }}) % {{ P.done }}u + {{ P.offset }}u;
//% for i in (1, 2, 4, 8, 16) if i < R
    let near{{ stage }}_{{ b }}_{{ i }} = near[near{{ stage }}_{{ b }} + {{ loop.index0 * P.done }}u];
//% endfor
//% endfor
//% set P.offset = P.offset + P.done * step_count(R) | int
//% endfor
//% set P.done = 1
//% set P.offset = 0
//% endif
//% for R in walk
//% set first = loop.first
//% set last = loop.last
//% set stage = loop.index0
//% set ended = through and loop.index == stages | length
//% set begun = through and loop.index0 == stages | length
//% set butterflies = -(-length // (R * lanes))
//% if first
//% if plain_source
    let source_at = (at.outer * params.x_extent + at.j + lane * {{ columns }}u) * {{ inner }} + at.inner;
//% endif
//% for b in range(butterflies)
    {{ guarded(R, b) }} {
//% for i in range(R)
//% if plain_source
        v{{ b * R + i }} = number_at(source_at + {{ b * lanes + i * (length // R) }}u * {{ columns }}u * {{ inner }});
//% else
        v{{ b * R + i }} = loaded(at, at.j + (lane + {{ b * lanes + i * (length // R) }}u) * {{ columns }}u);
//% endif
//% endfor
    }
//% endfor
//% if far
    {
        let m = at.j % {{ done }}u;
{{ steps("far", R, done) }}
//% for b in range(butterflies)
        {{ guarded(R, b) }} {
            let r0 = far_root(m, lane + {{ b * lanes }}u);
            v{{ b * R }} = times(v{{ b * R }}, r0);
//% for i in range(1, R)
//% set low = 1 if i % 2 else 2 if i % 4 else 4 if i % 8 else 8 if i % 16 else 16
            let r{{ i }} = times(r{{ i - low }}, w{{ low }});
            v{{ b * R + i }} = times(v{{ b * R + i }}, r{{ i }});
//% endfor
        }
//% endfor
    }
//% endif
//% elif begun
//% for b in range(butterflies)
    {{ guarded(R, b) }} {
//% for i in range(R)
        v{{ b * R + i }} = times(v{{ b * R + i }}, through[lane + {{ b * lanes + i * (length // R) }}u]) * vec2<f32>(1.0, -1.0);
//% endfor
    }
//% endfor
//% else
//% for b in range(butterflies)
    {{ guarded(R, b) }} {
//% if ahead
//% for i in (1, 2, 4, 8, 16) if i < R
        let w{{ i }} = near{{ stage }}_{{ b }}_{{ i }};
//% endfor
//% else
        let m = ({{ butterfly_of(R, b, "lane", folded and last) }}) % {{ P.done }}u + {{ P.offset }}u;
{{ steps("near", R, P.done) }}
//% endif
{{ powers(R) }}
//% for i in range(1, R)
        v{{ b * R + i }} = times(v{{ b * R + i }}, w{{ i }});
//% endfor
    }
//% endfor
//% set P.offset = P.offset + P.done * step_count(R) | int
//% endif
//% for b in range(butterflies)
{{ butterfly(names[b * R : b * R + R]) }}
//% endfor

//% if not (last or ended)
//% set following = loop.nextitem
//% set turning.now = turns and loop.index0 + 2 == stages | length
//% set folding = folded and loop.index0 + 2 == stages | length
//% for part in components
//% set first_part = loop.first
//% for h in range(2 if halved else 1)
//% if not (first and first_part and loop.first)
    workgroupBarrier();
//% endif
{{ write(R, P.done, part, h) }}
    workgroupBarrier();
{{ read(following, part, h, folding) }}
//% endfor
//% endfor
//% if parts > 1
//% for i in range(held)
    v{{ i }} = u{{ i }};
//% endfor
//% endif
//% if turning.now
    column = to_column;
    lane = to_lane;
    at = column_of(min(start + column, params.count - 1u));
//% set turning.now = false
//% endif
//% elif last
//% if folded
    if (start + column >= params.count) { return; }
//% for j in range(per_lane // 2)
{{ store_pairs(R, j) }}
//% endfor
//% elif untangled
//% for part in components
    workgroupBarrier();
{{ write(R, P.done, part, 0) }}
    workgroupBarrier();
{{ read_mirrored(R, part) }}
//% endfor
//% if paired
    if (idle) { return; }
    let first = at.j;
//% else
    if (start + column >= params.count) { return; }
    let first = 0u;
//% endif
//% for b in range(butterflies)
    {{ guarded(R, b) }} {
        let n = first + (lane + {{ b * lanes }}u) * {{ done }}u;
//% for i in range(R)
        store_untangled(at, n + {{ i * (length // R) * done }}u, v{{ b * R + i }}, u{{ b * R + i }});
//% endfor
    }
//% endfor
//% else
    if (start + column >= params.count) { return; }
//% if far
    let m = {{ "at.j %% %du" % done }};
//% else
    let m = 0u;
//% endif
    let first = (at.j - m) * LENGTH + m + lane * {{ done }}u;
//% if plain_target
    let target_at = (at.outer * params.y_extent + first) * {{ inner }} + at.inner;
//% endif
//% for b in range(butterflies)
    {{ guarded(R, b) }} {
//% for i in range(R)
//% set on = (b * lanes + i * (length // R)) * done
//% if plain_target
        store_at(target_at + {{ on }}u * {{ inner }}, v{{ b * R + i }} * vec2<f32>(params.scale, params.scale_im));
//% else
        store(at, first + {{ on }}u, v{{ b * R + i }});
//% endif
//% endfor
    }
//% endfor
//% endif
//% endif
//% set P.done = 1 if ended else P.done * R
//% endfor
}

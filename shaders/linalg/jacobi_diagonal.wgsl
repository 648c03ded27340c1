// Two-sided Jacobi on a symmetric matrix in workgroup memory (Golub and Van Loan, Matrix Computations, 4th
// ed., 8.5): Z G Z^T becomes diagonal, in rounds of disjoint rotations. An invocation turns blocks of two
// by two, where the rows of one pair meet the columns of another: nobody else touches them.
//
// A pair is turned where its element is above `relative` times the root of its diagonal elements'
// product, and above `least`; of pairs of inner products (positive), none with a square below `smallest`.
// Workgroup memory: 8 * capacity^2 + 4 * capacity bytes.
// Limits: capacity even; all invocations call, with the same arguments.
//% include "linalg/jacobi_rotation.wgsl"

const CAPACITY = {{ capacity }}u;
const THREADS = {{ threads }}u;
const PAIRS = CAPACITY / 2u;

struct Bounds { relative: f32, least: f32, smallest: f32 }

var<workgroup> g: array<f32, CAPACITY * CAPACITY>;
//% if vectors
var<workgroup> z: array<f32, CAPACITY * CAPACITY>;
//% endif
var<workgroup> turns: array<vec2<f32>, PAIRS>;
var<workgroup> moved: u32;

fn choose_turns(round: u32, count: u32, bounds: Bounds, t: u32) {
    if (t < count / 2u) {
        let p = pair_of(t, round, count);
        let xx = g[p.x * CAPACITY + p.x];
        let yy = g[p.y * CAPACITY + p.y];
        let xy = g[p.x * CAPACITY + p.y];
        let floor = max(bounds.relative * sqrt(abs(xx)) * sqrt(abs(yy)), bounds.least);
        var r = vec2<f32>();
        if (abs(xy) > floor && min(abs(xx), abs(yy)) >= bounds.smallest) {
            r = rotation(xx, yy, xy);
            moved = 1u;
        }
        turns[t] = r;
    }
    workgroupBarrier();
}

fn turn_block(i: u32, j: u32, round: u32, count: u32) {
    let p = pair_of(i, round, count) * CAPACITY;
    let q = pair_of(j, round, count);
    let row = turns[i];
    let column = turns[j];
    if (row.x == 0.0 && column.x == 0.0) { return; }
    // Below the diagonal in the mirrored order, so that the matrix stays symmetric to the last bit.
    let above = i <= j;
    let at = select(vec2<u32>(p.y + q.x, p.x + q.y), vec2<u32>(p.x + q.y, p.y + q.x), above);
    var a = vec4<f32>(g[p.x + q.x], g[at.x], g[at.y], g[p.y + q.y]);
    a = turned_rows(a, select(column, row, above));
    a = turned_rows(a.xzyw, select(row, column, above)).xzyw;
    if (i == j) {
        a.y = 0.0;
        a.z = 0.0;
    }
    g[p.x + q.x] = a.x;
    g[at.x] = a.y;
    g[at.y] = a.z;
    g[p.y + q.y] = a.w;
}

fn turned_rows(a: vec4<f32>, r: vec2<f32>) -> vec4<f32> {
    return vec4<f32>(
        turned_x(a.x, a.z, r),
        turned_x(a.y, a.w, r),
        turned_y(a.x, a.z, r),
        turned_y(a.y, a.w, r),
    );
}

// Makes g (count by count, count even) diagonal, z its rotations; whether the first sweep turned anything.
fn diagonalise(count: u32, sweeps: u32, bounds: Bounds, t: u32) -> bool {
    var first = false;
    if (t == 0u) { moved = 0u; }
    workgroupBarrier();
    let pairs = count / 2u;
    // Blocks of an invocation, without a division in the rounds.
    let start = vec2<u32>(t / pairs, t % pairs);
    let step = vec2<u32>(THREADS / pairs, THREADS % pairs);
    for (var sweep = 0u; sweep < sweeps; sweep++) {
        for (var round = 0u; round < count - 1u; round++) {
            choose_turns(round, count, bounds, t);
            for (var b = start; b.x < pairs;) {
                turn_block(b.x, b.y, round, count);
                b += step;
                if (b.y >= pairs) { b = vec2<u32>(b.x + 1u, b.y - pairs); }
            }
//% if vectors
            for (var e = t; e < pairs * CAPACITY; e += THREADS) {
                let p = pair_of(e / CAPACITY, round, count) * CAPACITY + e % CAPACITY;
                let r = turns[e / CAPACITY];
                let x = z[p.x];
                let y = z[p.y];
                z[p.x] = turned_x(x, y, r);
                z[p.y] = turned_y(x, y, r);
            }
//% endif
            workgroupBarrier();
        }
        let any = workgroupUniformLoad(&moved) != 0u;
        if (sweep == 0u) { first = any; }
        if (!any) { break; }
        if (t == 0u) { moved = 0u; }
        workgroupBarrier();
    }
    return first;
}

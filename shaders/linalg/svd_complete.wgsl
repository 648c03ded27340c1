// Rows of vh whose singular value is zero, or below 2^-24 of the largest: any that make vh orthonormal. One
// workgroup a matrix, which has nothing to do where the rank is full.
//
// Each such row starts as the unit vector that is farthest from the rows before it, and loses its part
// along them twice over ("twice is enough": Parlett, The symmetric eigenvalue problem, 1980, 6-9).
//
// Memory: s (batch, n) descending; vh (batch, n, n), the first rows orthonormal. Workgroup memory: 2 KiB and
// 4 n bytes of `weights`, n up to {{ capacity }}.
// Limits: f32; n of 1 to {{ capacity }}.
struct Params { n: u32, batch: u32 }

@group(0) @binding(0) var<storage, read> s: array<f32>;
@group(0) @binding(1) var<storage, read_write> vh: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

const THREADS = {{ threads }}u;

var<workgroup> weights: array<f32, {{ capacity }}>;
var<workgroup> values: array<f32, THREADS>;
var<workgroup> places: array<u32, THREADS>;

// The column whose part outside of the first `row` rows is longest.
fn farthest(first: u32, row: u32, t: u32) -> u32 {
    var best = -1.0;
    var place = 0u;
    for (var j = t; j < params.n; j += THREADS) {
        var left = 1.0;
        for (var i = 0u; i < row; i++) {
            let x = vh[first + i * params.n + j];
            left -= x * x;
        }
        if (left > best) {
            best = left;
            place = j;
        }
    }
    values[t] = best;
    places[t] = place;
    workgroupBarrier();
    for (var i = 0u; i < THREADS; i++) {
        if (values[i] > best || (values[i] == best && places[i] < place)) {
            best = values[i];
            place = places[i];
        }
    }
    workgroupBarrier();
    return place;
}

// Takes from a row its part along the rows before it.
fn make_orthogonal(first: u32, row: u32, t: u32) {
    let own = first + row * params.n;
    for (var i = t; i < row; i += THREADS) {
        var sum = 0.0;
        for (var j = 0u; j < params.n; j++) { sum += vh[first + i * params.n + j] * vh[own + j]; }
        weights[i] = sum;
    }
    workgroupBarrier();
    for (var j = t; j < params.n; j += THREADS) {
        var x = vh[own + j];
        for (var i = 0u; i < row; i++) { x -= weights[i] * vh[first + i * params.n + j]; }
        vh[own + j] = x;
    }
    storageBarrier();
    workgroupBarrier();
}

fn normalise(first: u32, row: u32, t: u32) {
    let own = first + row * params.n;
    var sum = 0.0;
    for (var j = t; j < params.n; j += THREADS) { sum += vh[own + j] * vh[own + j]; }
    values[t] = sum;
    workgroupBarrier();
    sum = 0.0;
    for (var i = 0u; i < THREADS; i++) { sum += values[i]; }
    for (var j = t; j < params.n; j += THREADS) { vh[own + j] = vh[own + j] / sqrt(sum); }
    storageBarrier();
    workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let z = group.x + group.y * 65535u;
    if (z >= params.batch) { return; }
    let least = s[z * params.n] * exp2(-24.0);
    var row = params.n;
    while (row > 0u && s[z * params.n + row - 1u] <= least) { row--; }
    let first = z * params.n * params.n;
    for (; row < params.n; row++) {
        let place = farthest(first, row, t);
        for (var j = t; j < params.n; j += THREADS) {
            vh[first + row * params.n + j] = select(0.0, 1.0, j == place);
        }
        storageBarrier();
        workgroupBarrier();
        make_orthogonal(first, row, t);
        normalise(first, row, t);
        make_orthogonal(first, row, t);
        normalise(first, row, t);
    }
}

// What the matrix products of workgroups with matrix units share: sizes of a tile, workgroup memory, and
// results on their way from there.
const BM = {{ bm }}u;
const BN = {{ bn }}u;
const BK8 = {{ bk // 8 }}u;
const LA = {{ la }}u;
const LB = {{ lb }}u;
const EP = {{ ep }}u;
const A_WORDS = {{ bm * la }}u;
const STAGE_WORDS = {{ bm * la + bk * lb }}u;
const TEAMS = {{ teams }}u;
const MEMBERS = {{ members }}u;
const ROW_GROUP = 8u;

var<workgroup> tile: array<vec4<u32>, {{ words }}>;
//% if update is defined

@group(0) @binding(8) var<storage, read> ranks: array<f16x8>;
@group(0) @binding(9) var<storage, read> up: array<f16x8>;
@group(0) @binding(10) var<storage, read> chosen: array<u32>;
//% endif

// Weight column, in units of 8, of a block's local 8-column chunk, or past the end.
fn chunk_column(block: u32, chunk: u32) -> u32 {
//% if activation == "geglu"
    let half = {{ wn // 16 }}u;
    let j = chunk % (2u * half);
    let n = block * (BN / 16u) + chunk / (2u * half) * half + j % half;
    return select(select(n, n + params.n / 8u, j >= half), NONE, n >= params.n / 8u);
//% else
    let n = block * (BN / 8u) + chunk;
    return select(n, NONE, n >= params.n / 8u);
//% endif
}

//% if not direct
// Four results of a row, of whose parts each team has left one.
fn sum_of_teams(at: u32) -> vec4<f32> {
    var sum = bitcast<vec4<f32>>(tile[at]);
//% for team in range(1, teams)
    sum += bitcast<vec4<f32>>(tile[at + {{ team * members * 16 * ep }}u]);
//% endfor
    return sum;
}

//% endif
//% if wide
// Eight results of a row.
struct Pair { low: vec4<f32>, high: vec4<f32> }

fn added(a: Pair, b: Pair) -> Pair { return Pair(a.low + b.low, a.high + b.high); }

fn staged(at: u32) -> Pair { return Pair(sum_of_teams(at), sum_of_teams(at + 1u)); }
//% if residual

fn widened(word: f16x8) -> Pair {
    let low = vec4<f32>(unpack2x16float(word.x), unpack2x16float(word.y));
    return Pair(low, vec4<f32>(unpack2x16float(word.z), unpack2x16float(word.w)));
}
//% endif
//% if per_image

// What is added to columns `n`, a word of eight, of all rows of an image.
fn image_pair(image: u32, n: u32) -> Pair {
    let at = image * params.image_pitch + params.image_first + 2u * n;
    return Pair(vec4<f32>(image_bias[at]), vec4<f32>(image_bias[at + 1u]));
}
//% endif
//% if out == "f16"

fn narrowed(v: Pair) -> f16x8 {
    let low = vec2<u32>(pack2x16float(v.low.xy), pack2x16float(v.low.zw));
    return f16x8(low, pack2x16float(v.high.xy), pack2x16float(v.high.zw));
}
//% endif

//% endif

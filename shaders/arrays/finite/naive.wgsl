// Adds the count of numbers that are not finite to one of a row of counters.
//
// Infinities and NaN are the numbers whose exponent has all its bits set; a comparison such as
// v != v may be optimised away. Lanes that find none, which is the usual case, touch no counter.
// Memory: x is a row of words of 16 bytes, the last of which may reach past the last element.
// Limits: 2^32 - 2^11 words; a row of 65535 workgroups, then the next row.
//% set per_word = 8 if scalar == "f16" else 4

//% if scalar == "f16"
alias f16x8 = vec4<u32>;
//% else
alias f32x4 = vec4<u32>;
//% endif

// size: elements in x; slot: the counter.
struct Params { count: u32, size: u32, slot: u32 }

@group(0) @binding(0) var<storage, read> x: array<{{ scalar }}x{{ per_word }}>;
@group(0) @binding(1) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

const WORKGROUP = {{ workgroup }}u;
//% if scalar == "f16"
const EXPONENT = array(0x7c00u, 0x7c000000u);
//% else
const EXPONENT = array(0x7f800000u);
//% endif

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let index = id.x + id.y * (65535u * WORKGROUP);
    if (index >= params.count) { return; }
    let word = x[index];
    let within = params.size - index * {{ per_word }}u;
    var found = 0u;
//% for k in range(per_word)
//% set lane = k // 2 if scalar == "f16" else k
//% set bits = "EXPONENT[%d]" % (k % 2 if scalar == "f16" else 0)
    if ((word[{{ lane }}] & {{ bits }}) == {{ bits }} && {{ k }}u < within) { found += 1u; }
//% endfor
    if (found > 0u) { atomicAdd(&counts[params.slot], found); }
}

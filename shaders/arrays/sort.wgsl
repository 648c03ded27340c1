// What a pass of a radix sort needs (Knuth 5.2.5): rows of n keys, cut into tiles; a pass orders them by
// {{ bits }} bits, the digit, from `shift` on, keeping the order of equal digits. Counts are (row, tile,
// digit), so that what stands before a key is: smaller digits of its row, its digit in earlier tiles,
// its digit in its own tile.
//
// Memory: keys are {{ "u32" if source == "key" else "made from numbers of %s as they are read" % source }}; places{{ "" if places else " are not wanted" }} are i32 within the row.
//% import "arrays/keys.wgsl" as keys
//% set family = {"f32": "float", "i32": "signed", "u32": "unsigned"}
//% set numbers = source if source != "key" else goal if goal not in ("key", "none") else none
//% if numbers
{{ keys.of(family[numbers], numbers, "u32", places) }}
//% endif

struct Params {
    n: u32,
    tiles: u32,
    count: u32,
    shift: u32,
}

const DIGITS = {{ 2 ** bits }}u;

fn digit_of(key: u32) -> u32 { return (key >> params.shift) & (DIGITS - 1u); }

//% if source == "key"
fn key_from(v: u32) -> u32 {
//% else
fn key_from(v: {{ source }}) -> u32 {
//% endif
//% if source == "key"
    return v;
//% else
//% if descending
    return reversed_key(key_of(v));
//% else
    return key_of(v);
//% endif
//% endif
}
//% if goal not in ("key", "none")

fn number_from(key: u32) -> {{ goal }} {
//% if descending
    return number_of(reversed_key(key));
//% else
    return number_of(key);
//% endif
}
//% endif

// Operands of the kernels that move keys: counts of digits, how many stand before each tile's, keys and
// where they are wanted places, before and after.
//% set b = namespace(at=0)
//% if source == "key"
@group(0) @binding(0) var<storage, read> x: array<u32>;
//% else
@group(0) @binding(0) var<storage, read> x: array<{{ source }}>;
//% endif
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read> before: array<u32>;
//% set b.at = 3
//% if places and not first
@group(0) @binding({{ b.at }}) var<storage, read> place: array<i32>;
//% set b.at = b.at + 1
//% endif
//% if goal != "none"
//% if goal == "key"
@group(0) @binding({{ b.at }}) var<storage, read_write> y: array<u32>;
//% else
@group(0) @binding({{ b.at }}) var<storage, read_write> y: array<{{ goal }}>;
//% endif
//% set b.at = b.at + 1
//% endif
//% if places
@group(0) @binding({{ b.at }}) var<storage, read_write> y_place: array<i32>;
//% set b.at = b.at + 1
//% endif
@group(0) @binding({{ b.at }}) var<uniform> params: Params;

fn move_key(at: u32, key: u32) {
//% if goal == "key"
    y[at] = key;
//% elif goal != "none"
    y[at] = number_from(key);
//% endif
}

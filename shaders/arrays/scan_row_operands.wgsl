// Operands of the kernels that scan rows on a GPU: numbers V are handed on, one of them a node.
//
// Memory: x and y as in arrays/words.wgsl; nodes, where a row has several tiles, as in arrays/scan_tree.wgsl.
//% include "arrays/scan.wgsl"

struct Params {
    n: u32,
    tiles: u32,
    levels: u32,
    beside: u32,
    count: u32,
}

alias V = {{ acc }};

//% if aligned
@group(0) @binding(0) var<storage, read> x: array<{{ typed.wide[kind] }}>;
//% else
@group(0) @binding(0) var<storage, read> x: array<{{ typed.storage[kind] }}>;
//% endif
@group(0) @binding(1) var<storage, read_write> y: array<{{ (typed.wide[target] if aligned else target) }}>;
//% if many
@group(0) @binding(2) var<storage, read_write> nodes: array<atomic<u32>>;
//% endif
//% if many
@group(0) @binding(3) var<uniform> params: Params;
//% else
@group(0) @binding(2) var<uniform> params: Params;
//% endif

fn sum_of_nodes(a: V, b: V) -> V { return sum_of_two(a, b); }

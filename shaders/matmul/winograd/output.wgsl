// Results by Winograd's transform, Y = A' M A: a block of {{ block }} x {{ block }} pixels an invocation (Lavin and
// Gray 2015, arXiv 1509.09308), then the epilogue of all products.
//
//% if vector
// Memory: `partials` is (planes, blocks, N) of the storage scalar, in words of 4 column(s); its blocks are counted from
//% else
// Memory: `partials` is (planes, blocks, N) of the storage scalar, in words of 1 column(s); its blocks are counted from
//% endif
// `first` on, row by row. The rest as in matmul/gemm/operands.wgsl.
// Limits: N a multiple of 4 in the vector form.
//% set sums = scalar
//% include "matmul/gemm/operands.wgsl"
//% from "matmul/winograd/transforms.wgsl" import result_scale, of_sums, plane, points with context

struct Part { first: u32 }

const COUNT = {{ count }}u;
const ACROSS = {{ across }}u;
const DOWN = {{ down }}u;

@group(0) @binding(8) var<uniform> part: Part;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * 64u);
    if (i >= COUNT) { return; }
//% if vector
    let width = params.n / 4u;
//% else
    let width = params.n / 1u;
//% endif
    let n = i % width;
    let block = part.first + i / width;
    let x = block % ACROSS * {{ block }}u;
    let y = block / ACROSS % DOWN * {{ block }}u;
    let image = block / ACROSS / DOWN;
//% for x in range(points)
//% set column = []
//% for y in range(points)
//% set _ = column.append("m%d%d" % (y, x))
    let m{{ y }}{{ x }} = F(partials[i + {{ plane(y, x) }}u * COUNT]);
//% endfor
//% for y in range(block)
    let s{{ y }}{{ x }} = {{ of_sums(y, column) }};
//% endfor
//% endfor
    let m = (image * params.out_height + y) * params.out_width + x;
//% for y in range(block)
//% set row = []
//% for x in range(points)
//% set _ = row.append("s%d%d" % (y, x))
//% endfor
//% for x in range(block)
    if (y + {{ y }}u < params.out_height && x + {{ x }}u < params.out_width) {
        let at = m + {{ y }}u * params.out_width + {{ x }}u;
        store(activate(biased({{ result_scale }} * ({{ of_sums(x, row) }}), at, n, width)), at, n, width);
    }
//% endfor
//% endfor
}

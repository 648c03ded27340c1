// Results of F(2 x 2, 3 x 3): Y = A' M A, a block of 2 x 2 pixels an invocation (Lavin and Gray 2015,
// arXiv 1509.09308), then the epilogue of all products.
//
// Memory: `partials` is (16, blocks, N), in words of {{ 4 if vector else 1 }} column(s); its blocks are counted from
// `first` on, row by row. The rest as in gemm/operands.wgsl.
// Limits: N a multiple of 4 in the vector form.
//% include "gemm/operands.wgsl"

struct Blocks { count: u32, first: u32, across: u32, down: u32 }

@group(0) @binding(8) var<uniform> blocks: Blocks;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * 64u);
    if (i >= blocks.count) { return; }
    let width = params.n / {{ 4 if vector else 1 }}u;
    let n = i % width;
    let block = blocks.first + i / width;
    let x = block % blocks.across * 2u;
    let y = block / blocks.across % blocks.down * 2u;
    let image = block / blocks.across / blocks.down;
//% for y in range(4)
//% for x in range(4)
    let m{{ y }}{{ x }} = partials[i + {{ 4 * y + x }}u * blocks.count];
//% endfor
//% endfor
//% for x in range(4)
    let s0{{ x }} = m0{{ x }} + m1{{ x }} + m2{{ x }};
    let s1{{ x }} = m1{{ x }} - m2{{ x }} - m3{{ x }};
//% endfor
    let m = (image * params.out_height + y) * params.out_width + x;
    let below = y + 1u < params.out_height;
    let beside = x + 1u < params.out_width;
//% for y in range(2)
//% for x in range(2)
    {
        let at = m + {{ y }}u * params.out_width + {{ x }}u;
        let sum = {{ "s%d0 + s%d1 + s%d2" % (y, y, y) if x == 0 else "s%d1 - s%d2 - s%d3" % (y, y, y) }};
        if ({{ ["true", "beside", "below", "below && beside"][2 * y + x] }}) {
            store(activate(biased(sum, at, n, width)), at, n, width);
        }
    }
//% endfor
//% endfor
}

// Matrix products and convolutions for cards from compute capability 8.0 on: f16 operands, sums in f32.
//
// Warps multiply with mma.sync. STAGES slices of 32 of K are on their way from memory to shared memory by
// cp.async, which needs no registers and fills with zeros what lies outside of a matrix or an image.
// While one slice is multiplied, the slice STAGES - 1 further begins its way.
//
// The left operand is a matrix, or the pixels of a convolution: a slice is then 32 channels of one tap.
// With two sources, the slices of a tap are first those of x, then those of x2. For GEGLU, 8 columns of
// values and the 8 of their gates lie side by side in shared memory.
//
// Sums run over K in the same order in every tile.
//
// Layout: words of 16 bytes. A row of the left slice has 4, of which word c of row r lies at
// c ^ (r / 2 % 4); a row of the weights' slice has BN / 8, at c ^ (r % 8). So 8 rows that ldmatrix reads
// lie in different banks. Results leave by way of shared memory, 16 rows of a warp at a time.
// Memory: as in matmul/gemm/operands.wgsl.
// Limits: columns multiples of 8; channels of a convolution multiples of 32; K of a matrix a multiple of 8.
//% include "matmul/async.cuh"
//% include "nn/activation/activations.cuh"
//% set fused_gates = activation == "geglu"
// Sizes of a tile, of a warp's part of it, of a slice.
#define BM {{ bm }}
#define BN {{ bn }}
#define WM {{ wm }}
#define WN {{ wn }}
#define STAGES {{ stages }}
#define THREADS {{ threads }}
#define A_WORDS (BM * 4)
#define B_WORDS (32 * BN / 8)
#define A_BYTES (A_WORDS * 16)
#define STAGE_BYTES (A_BYTES + B_WORDS * 16)
// Words of 8 columns of sums of a warp, and of a tile's results.
#define SUM_WORDS (WN / 8)
//% if fused_gates
#define RESULT_WORDS (SUM_WORDS / 2)
#define TILE_COLUMNS (BN / 2)
//% else
#define RESULT_WORDS SUM_WORDS
#define TILE_COLUMNS BN
//% endif
#define PITCH (WN + 4)

struct Params {
    u32 rows, n, columns, batch, depth, slices, slices1, slices2, c1, c2;
    u32 width, height, out_width, out_height;
    u32 kernel_width, stride, pad_left, pad_top, rows_of_image, image_pitch, image_first;
};

extern "C" __global__ void __launch_bounds__(THREADS)
w_kernel(
    const u16* x, u64 x_bytes,
//% if two
    const u16* x2, u64 x2_bytes,
//% endif
    const u16* w, u64 w_bytes,
//% if bias
    const float* bias, u64 bias_bytes,
//% endif
//% if per_image
    const u16* per_image, u64 per_image_bytes,
//% endif
//% if residual
    const u16* residual, u64 residual_bytes,
//% endif
//% if out == "f32"
    float* y, u64 y_bytes,
//% else
    u16* y, u64 y_bytes,
//% endif
    const __grid_constant__ Params params
) {
    extern __shared__ __align__(128) char memory[];
    const u32 base = shared_address(memory);
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int rows = params.rows, n = params.n, steps = params.slices;
    // Tiles go down eight rows before they go to the next column, so that neighbours share operands.
    const int across = (n + TILE_COLUMNS - 1) / TILE_COLUMNS, down = (rows + BM - 1) / BM;
    const int tile = blockIdx.y + blockIdx.z * gridDim.y;
    if (tile >= across * down * (int)params.batch) return;
    const int batch = tile / (across * down), rest = tile % (across * down);
    const int band = 8 * across, top = rest / band * 8, high = min(8, down - top);
    const int row0 = (top + rest % band % high) * BM, column0 = rest % band / high * TILE_COLUMNS;

    // Each thread loads the same word of several rows of the left slice.
    constexpr int A_EACH = A_WORDS / THREADS, B_EACH = B_WORDS / THREADS;
    const int a_word = thread % 4;
//% if pixels
    int left[A_EACH], upper[A_EACH], image[A_EACH];
#pragma unroll
    for (int i = 0; i < A_EACH; i++) {
        const int row = row0 + thread / 4 + i * (THREADS / 4), pixel = row % (params.out_width * params.out_height);
        image[i] = row / (params.out_width * params.out_height) * params.height;
        left[i] = row < rows ? int(pixel % params.out_width * params.stride) - int(params.pad_left) : -0x10000;
        upper[i] = int(pixel / params.out_width * params.stride) - int(params.pad_top);
    }
    int tap_x = 0, tap_y = 0;
//% endif
    int slice = 0, depth = 0;
    // Begin to load the next slice of K.
    auto load = [&](int stage) {
        const u32 to = base + stage * STAGE_BYTES;
//% if two
        const bool is_first = slice < (int)params.slices1;
        const u16* source = is_first ? x : x2;
        const int pitch = is_first ? params.c1 : params.c2;
        const int channel = (is_first ? slice : slice - (int)params.slices1) * 32 + a_word * 8;
//% else
        const u16* source = x;
        const int pitch = params.c1, channel = slice * 32 + a_word * 8;
//% endif
#pragma unroll
        for (int i = 0; i < A_EACH; i++) {
            const int r = thread / 4 + i * (THREADS / 4);
//% if pixels
            const int px = left[i] + tap_x, py = upper[i] + tap_y;
            const bool is_there = (u32)px < params.width && (u32)py < params.height;
            const size_t place = (size_t)(image[i] + py) * params.width + px;
//% else
            const bool is_there = row0 + r < rows && channel < pitch;
            const size_t place = (size_t)batch * rows + row0 + r;
//% endif
            copy_word(to + (r * 4 + (a_word ^ r / 2 % 4)) * 16, is_there ? source + place * pitch + channel : x, is_there);
        }
#pragma unroll
        for (int i = 0; i < B_EACH; i++) {
            const int at = thread + i * THREADS, r = at / (BN / 8), c = at % (BN / 8);
//% if fused_gates
            const int column = column0 + c / 2 * 8, from = c % 2 * n + column;
//% else
            const int column = column0 + c * 8, from = column;
//% endif
            const bool is_there = column < n && depth + r < (int)params.depth;
            const size_t place = ((size_t)batch * params.depth + depth + r) * params.columns + from;
            copy_word(to + A_BYTES + (r * (BN / 8) + (c ^ r % 8)) * 16, is_there ? w + place : w, is_there);
        }
        depth += 32;
        slice++;
//% if pixels
        if (slice == (int)params.slices2) {
            slice = 0;
            if (++tap_x == (int)params.kernel_width) {
                tap_x = 0;
                tap_y++;
            }
        }
//% endif
    };

    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) load(s);
        copies_end();
    }
    float sums[WM / 16][SUM_WORDS][4] = {};
    const int warp_row = warp / (BN / WN) * WM, warp_word = warp % (BN / WN) * SUM_WORDS;
    int stage = 0, next = STAGES - 1;
    for (int i = 0; i < steps; i++) {
        copies_wait<STAGES - 2>();
        __syncthreads();
        if (i + STAGES - 1 < steps) load(next);
        copies_end();
        const u32 a_at = base + stage * STAGE_BYTES, b_at = a_at + A_BYTES;
#pragma unroll
        for (int k = 0; k < 2; k++) {
            u32 a[WM / 16][4], b[SUM_WORDS][2];
#pragma unroll
            for (int m = 0; m < WM / 16; m++) {
                const int r = warp_row + m * 16 + lane % 16;
                load_blocks(a[m], a_at + (r * 4 + ((k * 2 + lane / 16) ^ r / 2 % 4)) * 16);
            }
#pragma unroll
            for (int j = 0; j < SUM_WORDS; j += 2) {
                const int r = k * 16 + lane % 16;
                u32 found[4];
                load_blocks_transposed(found, b_at + (r * (BN / 8) + ((warp_word + j + lane / 16) ^ r % 8)) * 16);
                b[j][0] = found[0];
                b[j][1] = found[1];
                b[j + 1][0] = found[2];
                b[j + 1][1] = found[3];
            }
#pragma unroll
            for (int m = 0; m < WM / 16; m++)
#pragma unroll
                for (int j = 0; j < SUM_WORDS; j++) multiply(sums[m][j], a[m], b[j]);
        }
        if (++stage == STAGES) stage = 0;
        if (++next == STAGES) next = 0;
    }
    copies_wait<0>();
    __syncthreads();

    float* mine = (float*)memory + warp * 16 * PITCH;
#pragma unroll
    for (int m = 0; m < WM / 16; m++) {
#pragma unroll
        for (int j = 0; j < SUM_WORDS; j++)
#pragma unroll
            for (int half = 0; half < 2; half++)
                *(float2*)(mine + (lane / 4 + 8 * half) * PITCH + j * 8 + lane % 4 * 2) =
                    make_float2(sums[m][j][2 * half], sums[m][j][2 * half + 1]);
        __syncwarp();
        for (int at = lane; at < 16 * RESULT_WORDS; at += 32) {
            const int r = at / RESULT_WORDS, word = at % RESULT_WORDS, row = row0 + warp_row + m * 16 + r;
//% if fused_gates
            const int column = column0 + (warp_word / 2 + word) * 8;
            const float* from = mine + r * PITCH + word * 16;
//% else
            const int column = column0 + (warp_word + word) * 8;
            const float* from = mine + r * PITCH + word * 8;
//% endif
            if (row >= rows || column >= n) continue;
            const size_t to = ((size_t)batch * rows + row) * n + column;
//% if per_image
            Halves shift;
            shift.words = *(const uint4*)(per_image + (size_t)(row / params.rows_of_image) * params.image_pitch + params.image_first + column);
//% endif
//% if residual
            Halves more;
            more.words = *(const uint4*)(residual + to);
//% endif
            float v[8];
            read_eight(v, from);
//% if bias
            float offsets[8];
            read_eight(offsets, bias + column);
//% endif
//% if fused_gates
            float gates[8];
            read_eight(gates, from + 8);
//% if bias
            float beside[8];
            read_eight(beside, bias + n + column);
//% endif
//% endif
#pragma unroll
            for (int e = 0; e < 8; e++) {
//% if bias
                v[e] += offsets[e];
//% endif
//% if per_image
                v[e] += shift.number(e);
//% endif
//% if fused_gates
//% if bias
                gates[e] += beside[e];
//% endif
                v[e] *= act_geglu(gates[e]);
//% elif activation != "none"
                v[e] = act_{{ activation }}(v[e]);
//% endif
//% if residual
                v[e] += more.number(e);
//% endif
            }
//% if out == "f32"
            *(float4*)(y + to) = make_float4(v[0], v[1], v[2], v[3]);
            *(float4*)(y + to + 4) = make_float4(v[4], v[5], v[6], v[7]);
//% else
            *(uint4*)(y + to) = make_uint4(packed(v[0], v[1]), packed(v[2], v[3]), packed(v[4], v[5]), packed(v[6], v[7]));
//% endif
        }
        __syncwarp();
    }
}

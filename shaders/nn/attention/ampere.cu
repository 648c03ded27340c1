// Attention for cards from compute capability 8.0 on: f16 operands, scores and sums in f32, no scores in memory.
//
// A block makes 16 * BLOCKS rows of one head for each of its WARPS. KEYS keys and values a step come by
// cp.async, through a ring of STAGES in shared memory, which fills with zeros from key SK on. The rows of q
// are in registers. They come by way of the ring's last stage, which is filled only after that.
//
// Warps multiply with mma.sync. A thread has 2 neighbouring columns of rows r and r + 8 in each 8 columns:
// {0, 1} and {2, 3} of 4. So scores become the left operand of the values where they are.
// Weights are relative to the greatest score so far; sums are scaled down when it grows.
// (Dao 2023, arXiv 2307.08691.)
//
// The order of sums follows from KEYS alone, not from rows, warps or stages.
//
// Layout: rows of q, k and v have an odd number of words of 16 bytes, so that 8 rows that ldmatrix reads
// lie in different banks. Where HEAD is no multiple of 16, the word behind it is zero.
// Memory: as in nn/attention/operands.wgsl, in words of 8 channels.
// Measured on an H200, in microseconds (matrix.wgsl by CUDA, flash.wgsl, hopper.cu), batch x heads x rows x
// keys x head: 2x8x4096x4096x40 209 (286, 2191, 138), 2x10x4096x4096x64 319 (390, 3338, 214),
// 2x8x1024x1024x80 27.4 (34.5, 281, 17.2), 2x20x1024x1024x64 55.5 (63.6, 451, 39.1), 2x8x4096x77x40 13.8
// (17.6, 60.4, 15.4), causal 1x10x4096x4096x64 132 (173, 1334, -). On no card of 8.x so far.
// Limits: HEAD a multiple of 8 up to 160; with one stage, KEYS keys at most.
//% include "matmul/async.cuh"
// Channels of a head, blocks of 16 rows of a warp, keys of a step.
#define HEAD {{ head }}
#define BLOCKS {{ blocks }}
#define WARPS {{ warps }}
#define KEYS {{ keys }}
#define STAGES {{ stages }}
#define THREADS (WARPS * 32)
#define ROWS (WARPS * BLOCKS * 16)
#define WORDS (HEAD / 8)
#define STEPS_OF_HEAD ((HEAD + 15) / 16)
#define PITCH (2 * STEPS_OF_HEAD + 1)
#define STAGE_ROWS (2 * KEYS)
#define ROWS_BEFORE_Q ((STAGES > 1 ? STAGES - 1 : 1) * STAGE_ROWS)
#define MEMORY_ROWS {{ memory }} / (PITCH * 16)

struct Params {
    u32 batch, sq, sk, heads, units, open;
    float scale;
    u32 q_pitch, q_first, k_pitch, k_first, v_pitch, v_first;
};

INLINE float power_of_two(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
INLINE u32 place_of(u32 base, int row, int word) { return base + (row * PITCH + word) * 16; }

extern "C" __global__ void __launch_bounds__(THREADS)
w_kernel(
    const uint4* q, u64 q_bytes, const uint4* k, u64 k_bytes, const uint4* v, u64 v_bytes,
    u16* y, u64 y_bytes, const __grid_constant__ Params params
) {
    extern __shared__ __align__(128) char memory[];
    const u32 base = shared_address(memory);
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    // The last rows first: under a causal mask they see most keys.
    const int first_row = (gridDim.x - 1 - blockIdx.x) * ROWS, head = blockIdx.y, image = blockIdx.z;
    const int rows = params.sq, keys = params.sk;
    const u32 seen_by_all = min(params.sk, (u32)(first_row + ROWS) | params.open);
    const int steps = (seen_by_all + KEYS - 1) / KEYS;
    const uint4* q_from = q + (size_t)image * rows * params.q_pitch + params.q_first + head * WORDS;
    const uint4* k_from = k + (size_t)image * keys * params.k_pitch + params.k_first + head * WORDS;
    const uint4* v_from = v + (size_t)image * keys * params.v_pitch + params.v_first + head * WORDS;

    // Begin to load the keys and values of a step.
    auto load = [&](int step) {
        const int to = step % STAGES * STAGE_ROWS;
#pragma unroll
        for (int at = thread; at < KEYS * WORDS; at += THREADS) {
            const int r = at / WORDS, word = at % WORDS, key = step * KEYS + r;
            const bool is_there = key < keys;
            const size_t row = is_there ? key : 0;
            copy_word(place_of(base, to + r, word), k_from + row * params.k_pitch + word, is_there);
            copy_word(place_of(base, to + KEYS + r, word), v_from + row * params.v_pitch + word, is_there);
        }
    };

#pragma unroll
    for (int at = thread; at < ROWS * WORDS; at += THREADS) {
        const int r = at / WORDS, word = at % WORDS;
        const bool is_there = first_row + r < rows;
        const size_t row = is_there ? first_row + r : 0;
        copy_word(place_of(base, ROWS_BEFORE_Q + r, word), q_from + row * params.q_pitch + word, is_there);
    }
    copies_end();
    constexpr int AHEAD = STAGES > 1 ? STAGES - 1 : 1;
#pragma unroll
    for (int s = 0; s < AHEAD; s++) {
        if (s < steps) load(s);
        copies_end();
    }
//% if head % 16
    for (int r = thread; r < MEMORY_ROWS; r += THREADS) *(uint4*)(memory + (r * PITCH + WORDS) * 16) = make_uint4(0, 0, 0, 0);
//% endif
    copies_wait<AHEAD>();
    __syncthreads();

    const int warp_row = warp * BLOCKS * 16;
    u32 queries[BLOCKS][STEPS_OF_HEAD][4];
#pragma unroll
    for (int m = 0; m < BLOCKS; m++)
#pragma unroll
        for (int c = 0; c < STEPS_OF_HEAD; c++)
            load_blocks(queries[m][c], place_of(base, ROWS_BEFORE_Q + warp_row + m * 16 + lane % 16, 2 * c + lane / 16));
    float sums[BLOCKS][WORDS][4] = {};
    float greatest[BLOCKS][2], total[BLOCKS][2] = {};
#pragma unroll
    for (int m = 0; m < BLOCKS; m++) greatest[m][0] = greatest[m][1] = -1e30f;

    for (int i = 0; i < steps; i++) {
        copies_wait<AHEAD - 1>();
        __syncthreads();
        if (STAGES > 1) {
            if (i + AHEAD < steps) load(i + AHEAD);
            copies_end();
        }
        const int k_row = i % STAGES * STAGE_ROWS, v_row = k_row + KEYS;
        float scores[BLOCKS][KEYS / 8][4] = {};
#pragma unroll
        for (int c = 0; c < STEPS_OF_HEAD; c++)
#pragma unroll
            for (int j = 0; j < KEYS / 8; j += 2) {
                u32 found[4];
                load_blocks(found, place_of(base, k_row + j * 8 + lane / 16 * 8 + lane % 8, 2 * c + lane / 8 % 2));
                const u32 low[2] = {found[0], found[1]}, high[2] = {found[2], found[3]};
#pragma unroll
                for (int m = 0; m < BLOCKS; m++) {
                    multiply(scores[m][j], queries[m][c], low);
                    multiply(scores[m][j + 1], queries[m][c], high);
                }
            }
        const u32 first_unseen = min(params.sk - 1, (u32)(first_row + warp_row) | params.open) + 1;
        if ((i + 1) * KEYS > first_unseen) {
#pragma unroll
            for (int m = 0; m < BLOCKS; m++)
#pragma unroll
                for (int e = 0; e < KEYS / 2; e++) {
                    const u32 row = first_row + warp_row + m * 16 + lane / 4 + e / 2 % 2 * 8;
                    const u32 key = i * KEYS + e / 4 * 8 + lane % 4 * 2 + e % 2;
                    if (key > min(params.sk - 1, row | params.open)) scores[m][e / 4][e % 4] = -1e30f;
                }
        }
#pragma unroll
        for (int m = 0; m < BLOCKS; m++)
#pragma unroll
            for (int r = 0; r < 2; r++) {
                float high = greatest[m][r];
#pragma unroll
                for (int j = 0; j < KEYS / 8; j++) high = fmaxf(high, fmaxf(scores[m][j][2 * r], scores[m][j][2 * r + 1]));
                high = fmaxf(high, __shfl_xor_sync(~0u, high, 1));
                high = fmaxf(high, __shfl_xor_sync(~0u, high, 2));
                const float shrink = power_of_two((greatest[m][r] - high) * params.scale);
                const float offset = -high * params.scale;
                greatest[m][r] = high;
                float even = total[m][r] * shrink, odd = 0;
#pragma unroll
                for (int j = 0; j < KEYS / 8; j++) {
                    even += scores[m][j][2 * r] = power_of_two(fmaf(scores[m][j][2 * r], params.scale, offset));
                    odd += scores[m][j][2 * r + 1] = power_of_two(fmaf(scores[m][j][2 * r + 1], params.scale, offset));
                }
                total[m][r] = even + odd;
#pragma unroll
                for (int n = 0; n < WORDS; n++) {
                    sums[m][n][2 * r] *= shrink;
                    sums[m][n][2 * r + 1] *= shrink;
                }
            }
#pragma unroll
        for (int c = 0; c < KEYS / 16; c++) {
            u32 weights[BLOCKS][4];
#pragma unroll
            for (int m = 0; m < BLOCKS; m++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const float(&pair)[4] = scores[m][2 * c + e / 2];
                    weights[m][e] = packed(pair[e % 2 * 2], pair[e % 2 * 2 + 1]);
                }
#pragma unroll
            for (int n = 0; n < WORDS; n += 2) {
                u32 found[4];
                load_blocks_transposed(found, place_of(base, v_row + c * 16 + lane % 16, n + lane / 16));
                const u32 low[2] = {found[0], found[1]}, high[2] = {found[2], found[3]};
#pragma unroll
                for (int m = 0; m < BLOCKS; m++) {
                    multiply(sums[m][n], weights[m], low);
                    if (n + 1 < WORDS) multiply(sums[m][n + 1], weights[m], high);
                }
            }
        }
    }

#pragma unroll
    for (int m = 0; m < BLOCKS; m++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float whole = total[m][r];
            whole += __shfl_xor_sync(~0u, whole, 1);
            whole += __shfl_xor_sync(~0u, whole, 2);
            const float factor = 1.0f / whole;
            const int row = first_row + warp_row + m * 16 + lane / 4 + 8 * r;
            if (row < rows) {
                u16* to = y + (((size_t)image * rows + row) * params.heads + head) * HEAD + lane % 4 * 2;
#pragma unroll
                for (int n = 0; n < WORDS; n++) *(u32*)(to + 8 * n) = packed(sums[m][n][2 * r] * factor, sums[m][n][2 * r + 1] * factor);
            }
        }
}

// Matrix products and convolutions for Hopper (sm_90a): f16 operands, sums in f32.
//
// Two warpgroups multiply: each makes 64 rows by BN columns of weights with wgmma, whose operands lie in
// shared memory. One thread of a third warpgroup loads: STAGES slices of 64 of K are on their way through
// the copy engine, which fills with zeros what lies outside of a matrix or an image. A barrier for each
// stage tells that a slice has come, another that it may be replaced.
//
// The left operand is a matrix, or the pixels of a convolution: a slice is then 64 channels of one tap, of
// 128 pixels one after the other, each moved by the tap (im2col maps). With two sources, the slices of a
// tap are first those of x, then those of x2. A batch of windows is the four convolutions of an
// enlarged image, see matmul/conv/pixels.wgsl.
//
// Weights lie as they are, (K, columns), in groups of GROUP columns (of the last, some may go unused): wgmma reads them transposed. For GEGLU
// the first half of the groups are values, the others their gates: a thread has both.
//
// K may be cut into PARTS, one for each block of a cluster. Each block ends with BN / PARTS columns of
// the sum: it gets the others' numbers through their shared memory and adds them in the order of parts.
//
// Sums run over K in the same order in every tile with the same number of parts.
//
// A low-rank update is more of K: `ranks` (rows, groups * ranks), the narrow half, and `up` (slots, ranks,
// columns), of the slot that `chosen` has for an image; a group of columns reads its own ranks.
//
// With `slots`, w is (slots, K, columns), and rows of an image take the slot that it chose. Where it chose none,
// results are of slot 0, for nobody to read.
//
// A thread has 2 neighbouring columns of rows r and r + 8 in each 8 columns: {0, 1} and {2, 3} of 4.
//
// Memory: as in matmul/gemm/operands.wgsl. Shared memory: STAGES slices, a place for results on their way
// out (or for numbers from other blocks), barriers.
// Measured on an H200, in microseconds (cuBLAS or cuDNN, matrix.wgsl): 8192x320x320 7.8 (6.0, 11.4),
// 8192x2560x320 29.6 (29.9, 61.9), 2048x640x640 6.3 (5.4, 13.5), 512x10240x1280 25 (21.7, 52),
// 4096x4096x4096 191 (201, 427); 3 x 3 convolutions 2x64x64x320 29 (27.9), 2x32x32x640 30 (32.8),
// 2x16x16x1280 36 (33.4), 2x8x8x1280 16 (20), 1x128x128x512 106 (115). Tiles whose columns are no
// multiple of 64 take a third longer than with weights that lie (columns, K).
// Limits: columns multiples of 8; channels of a convolution, and rows of weights of a batch or a slot,
// multiples of 64; K of a matrix a multiple of 8; rows of an image with slots multiples of 128.
//% include "matmul/hopper.cuh"
//% include "nn/activation/activations.cuh"
//% from "matmul/hopper.cuh" import product
//% set fused_gates = activation == "geglu"

{{ product("multiply", bn, false, true) }}
#define BN {{ bn }}
#define GROUP 64
#define STAGES {{ stages }}
#define PARTS {{ parts }}
#define GROUPS ((BN + GROUP - 1) / GROUP)
#define ROWS 128
#define A_BYTES (ROWS * 128)
#define GROUP_BYTES (64 * GROUP * 2)
#define STAGE_BYTES (A_BYTES + GROUPS * GROUP_BYTES)
// Columns of sums that a block ends with, and columns of results in them.
#define OWN (BN / PARTS)
#define WIDTH {{ bn // 2 // parts if fused_gates else bn // parts }}
#define TILE_COLUMNS (WIDTH * PARTS)
#define CHUNK {{ chunk }}
#define PITCH ((CHUNK + 8) * 2)
#define STAGING_BYTES (PARTS > 1 ? 2 * (PARTS - 1) * OWN * 256 : 2 * 64 * PITCH)
// What is added at the end is loaded before the products where registers are left for it.
#define EARLY (BN <= 192)

struct Params {
    u32 rows, n, batch, depth, slices, slices1, slices2, out_width, out_height;
    u32 kernel_width, stride, pad_left, pad_top, rows_of_image, image_pitch, image_first;
};

struct Place { int batch, row, column; };

extern "C" __global__ void __launch_bounds__(384, 1)
w_kernel(
    const __grid_constant__ TensorMap x,
//% if two
    const __grid_constant__ TensorMap x2,
//% endif
    const __grid_constant__ TensorMap w,
//% if slots is defined
    const u32* slots, u64 slots_bytes,
//% endif
//% if bias
    const float* bias, u64 bias_bytes,
//% endif
//% if per_image
    const u16* per_image, u64 per_image_bytes,
//% endif
//% if residual
    const u16* residual, u64 residual_bytes,
//% endif
//% if update is defined
    const __grid_constant__ TensorMap ranks,
    const __grid_constant__ TensorMap up,
    const u32* chosen, u64 chosen_bytes,
//% endif
//% if out == "f32"
    float* y, u64 y_bytes,
//% else
    u16* y, u64 y_bytes,
//% endif
    const __grid_constant__ Params params
) {
    extern __shared__ char memory[];
    const u32 base = (shared_address(memory) + 1023) & ~1023u;
    const u32 staging = base + STAGES * STAGE_BYTES;
    const u32 full = staging + STAGING_BYTES, empty = full + STAGES * 8;
    const int warpgroup = threadIdx.x / 128;
    const int part = PARTS > 1 ? cluster_rank() : 0;
    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) {
            barrier_init(full + s * 8, 1);
            barrier_init(empty + s * 8, 2);
        }
        barriers_ready();
        prefetch_map(&x);
//% if two
        prefetch_map(&x2);
//% endif
        prefetch_map(&w);
//% if update is defined
        prefetch_map(&ranks);
        prefetch_map(&up);
//% endif
    }
    __syncthreads();
    if (PARTS > 1) cluster_arrive();
    let_next_start();

    const int rows = params.rows, n = params.n;
    const int across = (n + TILE_COLUMNS - 1) / TILE_COLUMNS;
    const int down = (rows + ROWS - 1) / ROWS, tiles = across * down * params.batch;
    const int from = params.slices * part / PARTS, steps = params.slices * (part + 1) / PARTS - from;
    const int first = blockIdx.y + blockIdx.z * gridDim.y, stride = gridDim.y * gridDim.z;
    // Tiles go down eight rows before they go to the next column, so that neighbours share operands.
    auto place_of = [&](int tile) {
        const int batch = tile / (across * down), rest = tile % (across * down);
        const int band = 8 * across, top = rest / band * 8, high = min(8, down - top);
        Place place;
        place.batch = batch;
        place.row = (top + rest % band % high) * ROWS;
        place.column = rest % band / high * TILE_COLUMNS;
        return place;
    };

//% if update is defined
    // Calls f(image, group, slot, first of 64 ranks) for what a tile's sums get behind the weights' own K:
    // its last part of K does, for each image with an update, and each group of columns, that it touches.
    auto each_update = [&](const Place& place, auto f) {
        if (part != PARTS - 1) return;
        const int images = (min(place.row + ROWS, rows) - 1) / (int)params.rows_of_image;
        for (int image = place.row / (int)params.rows_of_image; image <= images; image++) {
            const u32 slot = global_word(chosen + image);
            if (slot == 0xffffffffu) continue;
//% if up_groups == 1
            for (int r = 0; r < {{ up_ranks }}; r += 64) f(image, 0, (int)slot, r);
//% else
            const int groups = (min(place.column + TILE_COLUMNS, n) - 1) / {{ up_columns }};
            for (int group = place.column / {{ up_columns }}; group <= groups; group++)
                for (int r = 0; r < {{ up_ranks }}; r += 64) f(image, group, (int)slot, r);
//% endif
        }
    };
//% endif

    if (warpgroup == 2) {
        give_registers<40>();
        if (threadIdx.x == 256) {
            auto column_of = [&](int column, int g) {
//% if fused_gates
                return g < GROUPS / 2 ? column + g * GROUP : n + column + (g - GROUPS / 2) * GROUP;
//% else
                return column + g * GROUP;
//% endif
            };
//% if slots is not defined
            if (first < tiles) {
                const Place place = place_of(first);
                for (int i = 0; i < min(steps, STAGES); i++)
                    for (int g = 0; g < GROUPS; g++)
                        prefetch_2d(&w, column_of(place.column, g), place.batch * params.depth + (from + i) * 64);
            }
//% endif
            wait_for_launch_ahead();
            int s = 0, parity = 1;
            for (int tile = first; tile < tiles; tile += stride) {
                const Place place = place_of(tile);
//% if slots is defined
                const u32 chosen = global_word(slots + place.row / params.rows_of_image);
                const int depth = chosen == 0xffffffffu ? 0 : (int)(chosen * params.depth);
//% else
                const int depth = place.batch * params.depth;
//% endif
//% if pixels
                const int pixel = place.row % (params.out_width * params.out_height);
                const int image = place.row / (params.out_width * params.out_height);
                const int left = pixel % params.out_width * params.stride - params.pad_left;
                const int top = pixel / params.out_width * params.stride - params.pad_top;
                const int odd_x = place.batch % 2, odd_y = place.batch / 2;
                const int tap = from / params.slices2;
                int tap_x = tap % params.kernel_width, tap_y = tap / params.kernel_width;
//% endif
                int slice = from % params.slices2;
                for (int i = 0; i < steps; i++) {
                    const u32 to = base + s * STAGE_BYTES, barrier = full + s * 8;
                    barrier_wait(empty + s * 8, parity);
                    barrier_expect(barrier, STAGE_BYTES);
//% macro load(source, channel)
//% if pixels
copy_pixels(to, &{{ source }}, barrier, {{ channel }}, left, top, image, tap_x + odd_x, tap_y + odd_y);
//% else
copy_2d(to, &{{ source }}, barrier, {{ channel }}, place.batch * rows + place.row);
//% endif
//% endmacro
//% if two
                    if (slice < params.slices1) {{ load("x", "slice * 64") }}
                    else {{ load("x2", "(slice - params.slices1) * 64") }}
//% else
                    {{ load("x", "slice * 64") }}
//% endif
                    for (int g = 0; g < GROUPS; g++)
                        copy_2d(to + A_BYTES + g * GROUP_BYTES, &w, barrier, column_of(place.column, g), depth + (from + i) * 64);
                    slice++;
//% if pixels
                    if (slice == params.slices2) {
                        slice = 0;
                        if (++tap_x == params.kernel_width) {
                            tap_x = 0;
                            tap_y++;
                        }
                    }
//% endif
                    if (++s == STAGES) {
                        s = 0;
                        parity ^= 1;
                    }
                }
//% if update is defined
                // What lies outside of the image, the group or the ranks is copied as zeros.
                each_update(place, [&](int image, int group, int slot, int r) {
                    const u32 to = base + s * STAGE_BYTES, barrier = full + s * 8;
                    barrier_wait(empty + s * 8, parity);
                    barrier_expect(barrier, STAGE_BYTES);
                    copy_4d(to, &ranks, barrier, r, group, place.row - image * (int)params.rows_of_image, image);
                    for (int g = 0; g < GROUPS; g++)
                        copy_4d(to + A_BYTES + g * GROUP_BYTES, &up, barrier,
                                column_of(place.column, g) - group * {{ up_columns }}, group, r, slot);
                    if (++s == STAGES) {
                        s = 0;
                        parity ^= 1;
                    }
                });
//% endif
            }
        }
        if (PARTS > 1) {
            cluster_wait();
            cluster_arrive();
            cluster_wait();
        }
        return;
    }

    take_registers<232>();
    const int warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32, thread = threadIdx.x % 128;
    const u32 mine = PARTS > 1 ? staging + warpgroup * ((PARTS - 1) * OWN * 256) + warp * 16 * PITCH
                               : staging + (warpgroup * 4 + warp) * 16 * PITCH;
    const u32 block_at = mine + lane % 16 * PITCH + lane / 16 * 16;
    float sums[BN / 2];
    wait_for_launch_ahead();
    int s = 0, parity = 0;
    for (int tile = first; tile < tiles; tile += stride) {
        const Place place = place_of(tile);
        const int row0 = place.row + warpgroup * 64 + warp * 16;
        const int column0 = place.column + part * WIDTH;
        // Where a row's results begin; rows past the end stand for the last one.
        auto result_row = [&](int row) {
            const int m = min(row, rows - 1);
//% if pixels and enlarging
            const int y_ = m / params.out_width, x_ = m % params.out_width;
            return (size_t)((2 * y_ + place.batch / 2) * params.out_width + x_) * 2 + place.batch % 2;
//% else
            return (size_t)place.batch * rows + m;
//% endif
        };
//% if residual and out == "f16"
        // Word i of a warp's 16 rows of a chunk, in words of 8 results.
        auto word_at = [&](int chunk, int i) {
            const int at = i * 32 + lane;
            const int column = min(column0 + chunk + at % (CHUNK / 8) * 8, n - 8);
            return result_row(row0 + at / (CHUNK / 8)) * n + column;
        };
        uint4 more[EARLY ? WIDTH / CHUNK : 1][CHUNK / 16];
        if (EARLY) {
#pragma unroll
            for (int c = 0; c < WIDTH / CHUNK; c++)
#pragma unroll
                for (int i = 0; i < CHUNK / 16; i++) more[EARLY ? c : 0][i] = global_words(residual + word_at(c * CHUNK, i));
        }
//% endif
//% if bias
        auto bias_at = [&](int column) { return global_numbers(bias + column); };
//% if not fused_gates
        float2 offsets[EARLY ? WIDTH / 8 : 1];
        if (EARLY) {
#pragma unroll
            for (int b = 0; b < WIDTH / 8; b++) offsets[EARLY ? b : 0] = bias_at(min(column0 + 8 * b, n - 8) + lane % 4 * 2);
        }
//% endif
//% endif

        int before = 0, last = steps;
//% if update is defined
        each_update(place, [&](int, int, int, int) { last++; });
//% endif
        for (int i = 0; i < last; i++) {
            barrier_wait(full + s * 8, parity);
            const u32 a = base + s * STAGE_BYTES + warpgroup * (64 * 128), b = base + s * STAGE_BYTES + A_BYTES;
            products_begin();
#pragma unroll
            for (int k = 0; k < 4; k++)
                multiply(sums, descriptor(a + k * 32, 16, 1024, 1),
                         descriptor(b + k * (16 * GROUP * 2), GROUP_BYTES, 8 * GROUP * 2, 1), i + k > 0);
            products_end();
            // The slice before is given back while this one is multiplied.
            if (i) {
                products_wait<1>();
                if (thread == 0) barrier_arrive(empty + before * 8);
            }
            before = s;
            if (++s == STAGES) {
                s = 0;
                parity ^= 1;
            }
        }
        products_wait<0>();
        if (thread == 0) barrier_arrive(empty + before * 8);

#if PARTS > 1
        // Each block pushes what belongs to others, in the order that registers have.
        cluster_wait();
#pragma unroll
        for (int q = 0; q < PARTS; q++) {
            if (q == part) continue;
            const int slot = part < q ? part : part - 1;
            const u32 to = address_in(staging + (warpgroup * (PARTS - 1) + slot) * (OWN * 256) + thread * 16, q);
#pragma unroll
            for (int i = 0; i < OWN / 8; i++) {
                const float* v = &sums[q * (OWN / 2) + 4 * i];
                store_in_cluster(to + i * 2048, v[0], v[1], v[2], v[3]);
            }
        }
        cluster_arrive();
        cluster_wait();
        float own[OWN / 2];
#pragma unroll
        for (int i = 0; i < OWN / 8; i++) {
            float4 mine4 = {0, 0, 0, 0}, sum = {0, 0, 0, 0};
#pragma unroll
            for (int q = 0; q < PARTS; q++) {
                const float* v = &sums[q * (OWN / 2) + 4 * i];
                if (q == part) mine4 = make_float4(v[0], v[1], v[2], v[3]);
            }
#pragma unroll
            for (int q = 0; q < PARTS; q++) {
                float4 v = mine4;
                const int slot = q < part ? q : q - 1;
                if (q != part) v = shared_numbers(staging + (warpgroup * (PARTS - 1) + slot) * (OWN * 256) + thread * 16 + i * 2048);
                sum.x += v.x;
                sum.y += v.y;
                sum.z += v.z;
                sum.w += v.w;
            }
            own[4 * i] = sum.x;
            own[4 * i + 1] = sum.y;
            own[4 * i + 2] = sum.z;
            own[4 * i + 3] = sum.w;
        }
        // Results leave through the same memory.
        threads_meet(1 + warpgroup, 128);
#else
        float (&own)[BN / 2] = sums;
#endif

//% if per_image
        const u16* image_low = per_image + (size_t)(min(row0 + lane / 4, rows - 1) / params.rows_of_image) * params.image_pitch + params.image_first;
        const u16* image_high = per_image + (size_t)(min(row0 + lane / 4 + 8, rows - 1) / params.rows_of_image) * params.image_pitch + params.image_first;
//% endif
        // The four results of block b of 8 columns, but for the residual.
        auto finished = [&](int b, float* v) {
            const int column = min(column0 + 8 * b, n - 8) + lane % 4 * 2;
#pragma unroll
            for (int e = 0; e < 4; e++) v[e] = own[4 * b + e];
//% if bias
//% if fused_gates
            const float2 offset = bias_at(column);
//% else
            const float2 offset = EARLY ? offsets[EARLY ? b : 0] : bias_at(column);
//% endif
            v[0] += offset.x;
            v[1] += offset.y;
            v[2] += offset.x;
            v[3] += offset.y;
//% endif
//% if per_image
            const float2 low = unpacked(global_word(image_low + column)), high = unpacked(global_word(image_high + column));
            v[0] += low.x;
            v[1] += low.y;
            v[2] += high.x;
            v[3] += high.y;
//% endif
//% if fused_gates
            float gates[4];
#pragma unroll
            for (int e = 0; e < 4; e++) gates[e] = own[BN / 4 + 4 * b + e];
//% if bias
            const float2 beside = bias_at(n + column);
            gates[0] += beside.x;
            gates[1] += beside.y;
            gates[2] += beside.x;
            gates[3] += beside.y;
//% endif
#pragma unroll
            for (int e = 0; e < 4; e++) v[e] *= act_geglu(gates[e]);
//% elif activation != "none"
#pragma unroll
            for (int e = 0; e < 4; e++) v[e] = act_{{ activation }}(v[e]);
//% endif
        };

//% if out == "f32"
#pragma unroll
        for (int b = 0; b < WIDTH / 8; b++) {
            float v[4];
            finished(b, v);
            const int column = column0 + 8 * b + lane % 4 * 2;
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int row = row0 + lane / 4 + 8 * half;
                if (row < rows && column < n) {
                    const size_t at = result_row(row) * n + column;
                    float2 pair = make_float2(v[2 * half], v[2 * half + 1]);
//% if residual
                    const float2 add = unpacked(global_word(residual + at));
                    pair.x += add.x;
                    pair.y += add.y;
//% endif
                    *(float2*)(y + at) = pair;
                }
            }
        }
//% else
#pragma unroll
        for (int c = 0; c < WIDTH / CHUNK; c++) {
//% if residual
#pragma unroll
            for (int i = 0; i < CHUNK / 16; i++) {
                const int at = i * 32 + lane;
                const uint4 word = EARLY ? more[EARLY ? c : 0][i] : global_words(residual + word_at(c * CHUNK, i));
                store_words(mine + at / (CHUNK / 8) * PITCH + at % (CHUNK / 8) * 16, word);
            }
            __syncwarp();
//% endif
#pragma unroll
            for (int j = 0; j < CHUNK / 16; j++) {
                float v[8];
                finished(c * (CHUNK / 8) + 2 * j, v);
                finished(c * (CHUNK / 8) + 2 * j + 1, v + 4);
//% if residual
                const uint4 given = load_blocks(block_at + j * 32);
                const float2 add[4] = {unpacked(given.x), unpacked(given.y), unpacked(given.z), unpacked(given.w)};
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    v[2 * e] += add[e].x;
                    v[2 * e + 1] += add[e].y;
                }
//% endif
                store_blocks(block_at + j * 32, packed(v[0], v[1]), packed(v[2], v[3]), packed(v[4], v[5]), packed(v[6], v[7]));
            }
            __syncwarp();
#pragma unroll
            for (int i = 0; i < CHUNK / 16; i++) {
                const int at = i * 32 + lane;
                const uint4 word = shared_words(mine + at / (CHUNK / 8) * PITCH + at % (CHUNK / 8) * 16);
                const int row = row0 + at / (CHUNK / 8), column = column0 + c * CHUNK + at % (CHUNK / 8) * 8;
                if (row < rows && column < n) *(uint4*)(y + result_row(row) * n + column) = word;
            }
            __syncwarp();
        }
//% endif
    }
}

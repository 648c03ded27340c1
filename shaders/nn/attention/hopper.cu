// Attention for Hopper (sm_90a): f16 operands, scores and sums in f32, no scores in memory.
//
// A block makes 64 rows of one head for each of TEAMS warpgroups. One thread of a further warpgroup loads
// KEYS keys and values a step, each through a ring of STAGES in shared memory. Heads wider than 64
// channels lie there in GROUPS of 64; the copy engine fills with zeros from channel HEAD and key SK on.
// Values are read as they lie: wgmma transposes them.
//
// Weights are relative to the greatest score so far; sums are scaled down when it grows. The scores of the
// next step are made while this step's values are added, and in TURNS the two warpgroups make theirs so
// that one's exponentials meet the other's products.
// (Dao 2023, arXiv 2307.08691; Shah et al. 2024, arXiv 2407.08608.)
//
// A thread has 2 neighbouring columns of rows r and r + 8 in each 8 columns: {0, 1} and {2, 3} of 4.
//
// Memory: q (B, SQ, H, HEAD), k and v (B, SK, H, HEAD), each in rows of its own pitch, and y like q,
// row-major. Shared memory: the rows of q, the rings of k and v, barriers.
// Measured on an H200, in microseconds (cuDNN or flash, matrix.wgsl), batch x heads x rows x keys x head:
// 2x8x4096x4096x40 136 (150, 286), 2x8x1024x1024x80 16.1 (18.3, 36.6), 2x10x4096x4096x64 214 (183, 387),
// 2x20x1024x1024x64 38 (34.5, 64), 2x8x4096x77x40 14.6 (13.5, 17.6).
// Limits: HEAD a multiple of 8 up to 160; every row sees all keys.
//% include "matmul/hopper.cuh"
//% from "matmul/hopper.cuh" import product

{{ product("multiply_keys", keys, false, false) }}
{{ product("add_values", head, true, true) }}
#define HEAD {{ head }}
#define KEYS {{ keys }}
#define TEAMS {{ teams }}
#define STAGES {{ stages }}
#define TURNS {{ turns | int }}
#define GROUPS ((HEAD + 63) / 64)
#define STEPS_OF_HEAD ((HEAD + 15) / 16)
#define ROWS_BYTES (TEAMS * 64 * 128)
#define KEYS_BYTES (KEYS * 128)
#define THREADS (TEAMS * 128 + 128)

struct Params { u32 sq, sk, heads; float scale; };

INLINE float power_of_two(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
w_kernel(
    const __grid_constant__ TensorMap q, const __grid_constant__ TensorMap k, const __grid_constant__ TensorMap v,
    u16* y, u64 y_bytes, const __grid_constant__ Params params
) {
    extern __shared__ char memory[];
    const u32 q_at = (shared_address(memory) + 1023) & ~1023u;
    const u32 k_at = q_at + GROUPS * ROWS_BYTES, v_at = k_at + STAGES * GROUPS * KEYS_BYTES;
    const u32 q_full = v_at + STAGES * GROUPS * KEYS_BYTES;
    const u32 k_full = q_full + 8, k_empty = k_full + STAGES * 8;
    const u32 v_full = k_empty + STAGES * 8, v_empty = v_full + STAGES * 8;
    const int warpgroup = threadIdx.x / 128;
    const int first_row = blockIdx.x * TEAMS * 64, head = blockIdx.y, image = blockIdx.z;
    const int keys = params.sk, steps = (keys + KEYS - 1) / KEYS;

    if (threadIdx.x == 0) {
        barrier_init(q_full, 1);
        for (int s = 0; s < STAGES; s++) {
            barrier_init(k_full + s * 8, 1);
            barrier_init(v_full + s * 8, 1);
            barrier_init(k_empty + s * 8, TEAMS);
            barrier_init(v_empty + s * 8, TEAMS);
        }
        barriers_ready();
        prefetch_map(&q);
        prefetch_map(&k);
        prefetch_map(&v);
    }
    __syncthreads();
    let_next_start();
    wait_for_launch_ahead();

    if (warpgroup == TEAMS) {
        give_registers<{{ 40 if teams < 3 else 32 }}>();
        if (threadIdx.x == TEAMS * 128) {
            barrier_expect(q_full, GROUPS * ROWS_BYTES);
            for (int g = 0; g < GROUPS; g++) copy_4d(q_at + g * ROWS_BYTES, &q, q_full, g * 64, head, first_row, image);
            int s = 0, parity = 1;
            for (int i = 0; i < steps; i++) {
                barrier_wait(k_empty + s * 8, parity);
                barrier_expect(k_full + s * 8, GROUPS * KEYS_BYTES);
                for (int g = 0; g < GROUPS; g++)
                    copy_4d(k_at + (s * GROUPS + g) * KEYS_BYTES, &k, k_full + s * 8, g * 64, head, i * KEYS, image);
                barrier_wait(v_empty + s * 8, parity);
                barrier_expect(v_full + s * 8, GROUPS * KEYS_BYTES);
                for (int g = 0; g < GROUPS; g++)
                    copy_4d(v_at + (s * GROUPS + g) * KEYS_BYTES, &v, v_full + s * 8, g * 64, head, i * KEYS, image);
                if (++s == STAGES) {
                    s = 0;
                    parity ^= 1;
                }
            }
        }
        return;
    }

    take_registers<{{ {1: 232, 2: 232, 3: 160, 4: 112}[teams] }}>();
    const int warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
    const bool tells = threadIdx.x % 128 == 0;
    const u32 rows_at = q_at + warpgroup * 64 * 128;
    float scores[KEYS / 2], sums[HEAD / 2];
    float greatest[2] = {-1e30f, -1e30f}, total[2] = {0, 0}, shrink[2];
    u32 weights[KEYS / 16][4];

    auto make_scores = [&](int slot) {
        products_begin();
#pragma unroll
        for (int c = 0; c < STEPS_OF_HEAD; c++)
            multiply_keys(scores, descriptor(rows_at + c / 4 * ROWS_BYTES + c % 4 * 32, 16, 1024, 1),
                          descriptor(k_at + (slot * GROUPS + c / 4) * KEYS_BYTES + c % 4 * 32, 16, 1024, 1), c > 0);
        products_end();
    };
    auto weigh_values = [&](int slot, bool adds) {
        products_begin();
#pragma unroll
        for (int c = 0; c < KEYS / 16; c++)
            add_values(sums, weights[c], descriptor(v_at + slot * GROUPS * KEYS_BYTES + c * 2048, KEYS_BYTES, 1024, 1), adds || c > 0);
        products_end();
    };
    // Scores become weights; `shrink` is what earlier sums are multiplied with.
    auto make_weights = [&](int step) {
        if ((step + 1) * KEYS > keys) {
#pragma unroll
            for (int j = 0; j < KEYS / 2; j++)
                if (step * KEYS + j / 4 * 8 + lane % 4 * 2 + j % 2 >= keys) scores[j] = -1e30f;
        }
        // Two chains for each row, since a warp has its quarter of the multiprocessor nearly to itself.
        float high[2] = {scores[0], scores[2]}, other[2] = {scores[1], scores[3]};
#pragma unroll
        for (int j = 1; j < KEYS / 8; j++) {
            high[0] = fmaxf(high[0], scores[4 * j]);
            other[0] = fmaxf(other[0], scores[4 * j + 1]);
            high[1] = fmaxf(high[1], scores[4 * j + 2]);
            other[1] = fmaxf(other[1], scores[4 * j + 3]);
        }
        float offset[2];
#pragma unroll
        for (int r = 0; r < 2; r++) {
            high[r] = fmaxf(high[r], other[r]);
            high[r] = fmaxf(high[r], __shfl_xor_sync(~0u, high[r], 1));
            high[r] = fmaxf(high[r], __shfl_xor_sync(~0u, high[r], 2));
            high[r] = fmaxf(high[r], greatest[r]);
            shrink[r] = power_of_two((greatest[r] - high[r]) * params.scale);
            greatest[r] = high[r];
            offset[r] = -high[r] * params.scale;
            total[r] *= shrink[r];
        }
        float odd[2] = {0, 0};
#pragma unroll
        for (int j = 0; j < KEYS / 2; j++) {
            const int r = j / 2 % 2;
            scores[j] = power_of_two(fmaf(scores[j], params.scale, offset[r]));
            if (j % 2) odd[r] += scores[j];
            else total[r] += scores[j];
        }
        total[0] += odd[0];
        total[1] += odd[1];
    };
    auto round_weights = [&]() {
#pragma unroll
        for (int c = 0; c < KEYS / 16; c++)
#pragma unroll
            for (int i = 0; i < 4; i++) weights[c][i] = packed(scores[8 * c + 2 * i], scores[8 * c + 2 * i + 1]);
    };

    if (TURNS && warpgroup == 1) threads_arrive(1, 256);
    barrier_wait(q_full, 0);
    barrier_wait(k_full, 0);
    make_scores(0);
    products_wait<0>();
    if (tells) barrier_arrive(k_empty);
    make_weights(0);
    round_weights();
    int slot = 0, parity = 0;
    for (int i = 1; i < steps; i++) {
        const int next = slot + 1 == STAGES ? 0 : slot + 1, next_parity = parity ^ (next == 0);
        barrier_wait(k_full + next * 8, next_parity);
        if (TURNS) threads_meet(1 + warpgroup, 256);
        make_scores(next);
        barrier_wait(v_full + slot * 8, parity);
        weigh_values(slot, i > 1);
        if (TURNS) threads_arrive(2 - warpgroup, 256);
        products_wait<1>();
        if (tells) barrier_arrive(k_empty + next * 8);
        make_weights(i);
        products_wait<0>();
        if (tells) barrier_arrive(v_empty + slot * 8);
#pragma unroll
        for (int j = 0; j < HEAD / 2; j++) sums[j] *= shrink[j / 2 % 2];
        round_weights();
        slot = next;
        parity = next_parity;
    }
    barrier_wait(v_full + slot * 8, parity);
    weigh_values(slot, steps > 1);
    products_wait<0>();
#pragma unroll
    for (int r = 0; r < 2; r++) {
        total[r] += __shfl_xor_sync(~0u, total[r], 1);
        total[r] += __shfl_xor_sync(~0u, total[r], 2);
        const float factor = 1.0f / total[r];
        const int row = first_row + warpgroup * 64 + warp * 16 + lane / 4 + 8 * r;
        if (row < params.sq) {
            u16* to = y + (((size_t)image * params.sq + row) * params.heads + head) * HEAD + lane % 4 * 2;
#pragma unroll
            for (int j = 0; j < HEAD / 8; j++)
                *(u32*)(to + 8 * j) = packed(sums[4 * j + 2 * r] * factor, sums[4 * j + 2 * r + 1] * factor);
        }
    }
}

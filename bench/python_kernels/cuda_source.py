"""The twelve programs in CUDA C++, for CuPy's ``RawModule``."""

__all__ = ["SOURCE"]

SOURCE = r"""
extern "C" {

__device__ __forceinline__ int clipped(int i, int n) { return min(max(i, 0), n - 1); }

__device__ __forceinline__ float at(const float* u, int row, int column, int rows, int columns) {
    return u[clipped(row, rows) * columns + clipped(column, columns)];
}

__device__ __forceinline__ float laplacian(
    const float* u, int row, int column, int rows, int columns
) {
    float across = at(u, row, column - 1, rows, columns) + at(u, row, column + 1, rows, columns);
    float down = at(u, row - 1, column, rows, columns) + at(u, row + 1, column, rows, columns);
    return across + down - 4.0f * u[row * columns + column];
}

__global__ void mandelbrot(
    unsigned* counts, int rows, int columns, float left, float top, float height, unsigned most
) {
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= rows || column >= columns) return;
    float side = height / rows;
    float cx = left + side * column, cy = top + side * row, x = 0.0f, y = 0.0f;
    unsigned count = 0;
    while (count < most && x * x + y * y <= 4.0f) {
        float next = x * x - y * y + cx;
        y = 2.0f * x * y + cy;
        x = next;
        count++;
    }
    counts[row * columns + column] = count;
}

__global__ void accelerations(const float4* bodies, float4* pulls, int n) {
    __shared__ float4 tile[128];
    int i = blockIdx.x * 128 + threadIdx.x;
    float4 own = i < n ? bodies[i] : make_float4(0, 0, 0, 0);
    float px = 0.0f, py = 0.0f, pz = 0.0f;
    for (int first = 0; first < n; first += 128) {
        int j = first + threadIdx.x;
        tile[threadIdx.x] = j < n ? bodies[j] : make_float4(0, 0, 0, 0);
        __syncthreads();
        for (int k = 0; k < 128; k++) {
            float4 body = tile[k];
            float dx = body.x - own.x, dy = body.y - own.y, dz = body.z - own.z;
            float square = dx * dx + dy * dy + dz * dz + 1e-2f;
            float weight = body.w / (square * sqrtf(square));
            px += dx * weight;
            py += dy * weight;
            pz += dz * weight;
        }
        __syncthreads();
    }
    if (i < n) pulls[i] = make_float4(px, py, pz, 0);
}

__global__ void heat_step(const float* x, float* y, int rows, int columns, float rate) {
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= rows || column >= columns) return;
    int i = row * columns + column;
    y[i] = x[i] + rate * laplacian(x, row, column, rows, columns);
}

__global__ void wave_step(const float* x, float* y, int rows, int columns, float courant) {
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= rows || column >= columns) return;
    int i = row * columns + column;
    y[i] = 2.0f * x[i] - y[i] + courant * courant * laplacian(x, row, column, rows, columns);
}

__global__ void histogram(const unsigned* x, unsigned* bins, int n) {
    __shared__ unsigned own[256];
    own[threadIdx.x] = 0;
    __syncthreads();
    int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) atomicAdd(&own[x[i] & 255u], 1u);
    __syncthreads();
    atomicAdd(&bins[threadIdx.x], own[threadIdx.x]);
}

__global__ void scan_tiles(const unsigned* x, unsigned* sums, unsigned* totals, int n) {
    __shared__ unsigned tile[256];
    int lane = threadIdx.x, i = blockIdx.x * 256 + lane;
    unsigned total = i < n ? x[i] : 0u;
    tile[lane] = total;
    __syncthreads();
    for (int reach = 1; reach < 256; reach *= 2) {
        if (lane >= reach) total += tile[lane - reach];
        __syncthreads();
        tile[lane] = total;
        __syncthreads();
    }
    if (i < n) sums[i] = total;
    if (lane == 255) totals[blockIdx.x] = total;
}

__global__ void matmul(const float* a, const float* b, float* c, int m, int depth, int n) {
    __shared__ float left[16][16], right[16][16];
    int x = threadIdx.x, y = threadIdx.y, column = blockIdx.x * 16 + x, row = blockIdx.y * 16 + y;
    float total = 0.0f;
    for (int first = 0; first < depth; first += 16) {
        left[y][x] = row < m && first + x < depth ? a[row * depth + first + x] : 0.0f;
        right[y][x] = first + y < depth && column < n ? b[(first + y) * n + column] : 0.0f;
        __syncthreads();
        for (int k = 0; k < 16; k++) total += left[y][k] * right[k][x];
        __syncthreads();
    }
    if (row < m && column < n) c[row * n + column] = total;
}

__global__ void transpose(const float* x, float* y, int rows, int columns) {
    __shared__ float tile[16][17];
    int column = blockIdx.x * 16 + threadIdx.x, row = blockIdx.y * 16 + threadIdx.y;
    if (row < rows && column < columns) tile[threadIdx.y][threadIdx.x] = x[row * columns + column];
    __syncthreads();
    row = blockIdx.x * 16 + threadIdx.y;
    column = blockIdx.y * 16 + threadIdx.x;
    if (row < columns && column < rows) y[row * rows + column] = tile[threadIdx.x][threadIdx.y];
}

__global__ void sobel(const float* x, float* edges, int rows, int columns) {
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= rows || column >= columns) return;
    float across = 0.0f, down = 0.0f;
    #pragma unroll
    for (int k = -1; k < 2; k++) {
        float weight = k == 0 ? 2.0f : 1.0f;
        float right = at(x, row + k, column + 1, rows, columns);
        float below = at(x, row + 1, column + k, rows, columns);
        across += weight * (right - at(x, row + k, column - 1, rows, columns));
        down += weight * (below - at(x, row - 1, column + k, rows, columns));
    }
    edges[row * columns + column] = sqrtf(across * across + down * down);
}

__global__ void bilateral(
    const float* x, float* smooth, int rows, int columns, int radius, float far_away, float other
) {
    int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= rows || column >= columns) return;
    float own = x[row * columns + column], total = 0.0f, weights = 0.0f;
    for (int dy = -radius; dy <= radius; dy++) {
        for (int dx = -radius; dx <= radius; dx++) {
            float value = at(x, row + dy, column + dx, rows, columns);
            float distance = float(dy * dy + dx * dx) / (2.0f * far_away * far_away);
            float difference = (value - own) * (value - own) / (2.0f * other * other);
            float weight = expf(-distance - difference);
            total += weight * value;
            weights += weight;
        }
    }
    smooth[row * columns + column] = total / weights;
}

__device__ __forceinline__ float normal_share(float x) {
    float t = 1.0f / (1.0f + 0.2316419f * fabsf(x));
    float series = t * (1.781477937f + t * (-1.821255978f + t * 1.330274429f));
    float tail = t * (0.319381530f + t * (-0.356563782f + series));
    tail *= expf(-0.5f * x * x) * 0.3989422804f;
    return x > 0.0f ? 1.0f - tail : tail;
}

__global__ void black_scholes(
    const float* share, const float* strike, const float* years, float* price, int n, float rate,
    float volatility
) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float spread = volatility * sqrtf(years[i]);
    float growth = (rate + 0.5f * volatility * volatility) * years[i];
    float d = (logf(share[i] / strike[i]) + growth) / spread;
    float later = strike[i] * expf(-rate * years[i]);
    price[i] = share[i] * normal_share(d) - later * normal_share(d - spread);
}

__global__ void sparse_product(
    const unsigned* starts, const unsigned* columns, const float* values, const float* x, float* y,
    int n
) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= n) return;
    float total = 0.0f;
    for (unsigned k = starts[row]; k < starts[row + 1]; k++) total += values[k] * x[columns[k]];
    y[row] = total;
}

}
"""

// How a block multiplies its tiles: on tensor cores, or with plain multiply-adds.

// Warps in a grid of WARPS_M x WARPS_N, each with 16x8 tiles of sums. Weights lie as the left
// matrix does: [BN, STEP] bytes.
template <class K, int BM, int BN, int WARPS_M, int WARPS_N> struct TensorCores {
  typedef typename K::X0::T T;
  static constexpr int WEIGHT_BYTES = BN * ROW;
  static constexpr int TM = BM / WARPS_M / 16, TN = BN / WARPS_N / 8;
  static_assert(TN % 2 == 0, "columns are loaded in pairs of tiles");

  static __device__ __forceinline__ void copy(char *tile, const char *weights) {
    copy_weights<K, STEP / VECTOR, ROW>(tile, weights);
  }

  struct Sums {
    float d[TM][TN][4];

    __device__ __forceinline__ Sums() {
#pragma unroll
      for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < TN; ++j) fill(d[i][j], 0.0f);
    }

    __device__ __forceinline__ void multiply(const char *left, const char *right) {
      const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
      const int m = warp / WARPS_N * (TM * 16) + lane % 16;
      const int n = warp % WARPS_N * (TN * 8) + lane / 16 * 8 + lane % 8;
#pragma unroll
      for (int half = 0; half < STEP; half += 32) {
        unsigned b[TN / 2][4];
#pragma unroll
        for (int j = 0; j < TN / 2; ++j) {
          load_matrices(b[j], right + (n + j * 16) * ROW + half + lane / 8 % 2 * 16);
#pragma unroll
          for (int r = 0; r < 4; ++r) b[j][r] = round_operand(b[j][r], T());
        }
#pragma unroll
        for (int i = 0; i < TM; ++i) {
          unsigned a[4];
          load_matrices(a, left + (m + i * 16) * ROW + half + lane / 16 * 16);
#pragma unroll
          for (int r = 0; r < 4; ++r) a[r] = round_operand(a[r], T());
#pragma unroll
          for (int j = 0; j < TN; ++j) multiply_add(d[i][j], a, b[j / 2] + j % 2 * 2, T());
        }
      }
    }

    __device__ __forceinline__ void store(float *to, int width) const {
      const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
      const int m = warp / WARPS_N * (TM * 16) + lane / 4;
      const int n = warp % WARPS_N * (TN * 8) + lane % 4 * 2;
#pragma unroll
      for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < TN; ++j) {
          float *first = to + (m + i * 16) * width + n + j * 8;
          ::store(first, {d[i][j][0], d[i][j][1]});
          ::store(first + 8 * width, {d[i][j][2], d[i][j][3]});
        }
    }
  };
};

// Each thread has TM rows times TN columns of sums, the columns in runs of 4. Weights are
// [STEP / 4, BN] floats.
template <class K, int BM, int BN, int TM, int TN> struct Scalar {
  static constexpr int WEIGHT_BYTES = BN * STEP, DEPTH = STEP / 4;
  static constexpr int COLUMNS = BN / TN, ROWS = BM / TM, RUNS = TN / 4;

  static __device__ __forceinline__ void copy(char *tile, const char *weights) {
    copy_weights<K, BN / 4, BN * 4>(tile, weights);
  }

  struct Sums {
    float d[TM][RUNS][4];

    __device__ __forceinline__ Sums() {
#pragma unroll
      for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < RUNS; ++j) fill(d[i][j], 0.0f);
    }

    __device__ __forceinline__ void multiply(const char *left, const char *right) {
      const char *a = left + threadIdx.x / COLUMNS * ROW;
      const float *b = (const float *)right + threadIdx.x % COLUMNS * 4;
#pragma unroll
      for (int k = 0; k < DEPTH; k += 4) {
        float x[TM][4];
#pragma unroll
        for (int i = 0; i < TM; ++i) load(x[i], (const float *)(a + i * ROWS * ROW) + k);
#pragma unroll
        for (int l = 0; l < 4; ++l)
#pragma unroll
          for (int j = 0; j < RUNS; ++j) {
            float w[4];
            load(w, b + (k + l) * BN + j * COLUMNS * 4);
#pragma unroll
            for (int i = 0; i < TM; ++i)
#pragma unroll
              for (int c = 0; c < 4; ++c) d[i][j][c] += x[i][l] * w[c];
          }
      }
    }

    __device__ __forceinline__ void store(float *to, int width) const {
      const int m = threadIdx.x / COLUMNS, n = threadIdx.x % COLUMNS * 4;
#pragma unroll
      for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < RUNS; ++j)
          ::store(to + (m + i * ROWS) * width + n + j * COLUMNS * 4, d[i][j]);
    }
  };
};

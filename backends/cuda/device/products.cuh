// How a block multiplies its tiles: on tensor cores, or with plain multiply-adds.
//
// STEP bytes of each row are multiplied at a time, and rows lie ROW bytes apart in shared memory;
// place() says where vector c of a row lies, weight_place() the same of the weights' vectors in the
// order of memory; each row a multiple of 8 further on lies as much further on. RUNNING steps are
// still being multiplied when the next one begins.

// Rows with a gap, so that no bank conflicts arise; products are computed when multiply returns.
struct PaddedRows {
  static constexpr int STEP = 64, ROW = STEP + VECTOR, RUNNING = 0;

  DEVICE int place(int row, int c) { return row * ROW + c * VECTOR; }
  DEVICE void arrived() {}
};

// Rows of 128 bytes, vector c of row r at place c ^ (r % 8), for wgmma.
struct SwizzledRows {
  static constexpr int STEP = 128, ROW = STEP, RUNNING = 1;

  DEVICE int place(int row, int c) { return row * ROW + (c ^ (row & 7)) * VECTOR; }
  DEVICE void arrived() { expose_copies(); }

  // Describes such rows to wgmma, in units of 16 bytes: the address, a multiple of 1024 bytes, an
  // offset that has no meaning here, the distance of the next eight rows, and swizzling by 128
  // bytes (PTX ISA, "Matrix Descriptor Format"). To add 2 moves on by 16 halves of each row.
  DEVICE unsigned long long descriptor(const char *rows) {
    const unsigned long long address = shared_address(rows) & 0x3ffff, eight = 8 * ROW;
    return address / 16 | 1ull << 16 | eight / 16 << 32 | 1ull << 62;
  }
};

// Weights that lie as the left matrix does: [BN, STEP] bytes in such rows.
template <class Rows> struct WeightRows : Rows {
  DEVICE int weight_place(int vector) {
    constexpr int vectors = Rows::STEP / VECTOR;
    return Rows::place(vector / vectors, vector % vectors);
  }
};

// Writes a thread's part of a 16x8 tile of sums from the tensor cores.
DEVICE void store_fragment(float *to, int width, const float *d) {
  store(to, {d[0], d[1]});
  store(to + 8 * width, {d[2], d[3]});
}

// Warps in a grid of WARPS_M x WARPS_N, each with 16x8 tiles of sums.
template <class K, int BM, int BN, int WARPS_M, int WARPS_N>
struct TensorCores : WeightRows<PaddedRows> {
  typedef typename K::X0::T T;
  static constexpr int WEIGHT_BYTES = BN * ROW;
  static constexpr int TM = BM / WARPS_M / 16, TN = BN / WARPS_N / 8;
  static_assert(TN % 2 == 0, "columns are loaded in pairs of tiles");

  struct Sums {
    static constexpr int SIZE = TM * TN * 4;
    float d[TM][TN][4];

    __device__ __forceinline__ Sums() { begin(); }
    __device__ __forceinline__ void begin() { fill(all(), 0.0f); }
    __device__ __forceinline__ float (&all())[SIZE] { return (float (&)[SIZE])d; }

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

    __device__ __forceinline__ void finish() {}

    __device__ __forceinline__ void store(float *to, int width) const {
      const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
      const int m = warp / WARPS_N * (TM * 16) + lane / 4;
      const int n = warp % WARPS_N * (TN * 8) + lane % 4 * 2;
#pragma unroll
      for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < TN; ++j)
          store_fragment(to + (m + i * 16) * width + n + j * 8, width, d[i][j]);
    }
  };
};

// Warpgroups with BM / COUNT rows each. The tensor cores read both matrices while copies of later
// steps are on their way.
template <class K, int BM, int BN, int COUNT> struct Warpgroups : WeightRows<SwizzledRows> {
  static constexpr int WEIGHT_BYTES = BN * ROW, TM = BM / COUNT / 64;

  struct Sums {
    static constexpr int SIZE = TM * (BN / 2);
    float d[TM][BN / 2];
    const int own;  // where this warpgroup's rows begin

    __device__ __forceinline__ Sums() : own(warpgroup() * (TM * 64 * ROW)) { begin(); }
    __device__ __forceinline__ float (&all())[SIZE] { return (float (&)[SIZE])d; }

    __device__ __forceinline__ void begin() {
      fill(all(), 0.0f);
      hold();
    }

    __device__ __forceinline__ void hold() {
#pragma unroll
      for (int i = 0; i < SIZE; ++i) ::hold(all()[i]);
    }

    __device__ __forceinline__ void multiply(const char *left, const char *right) {
      const unsigned long long a = descriptor(left + own), b = descriptor(right);
      products_fence();
#pragma unroll
      for (int part = 0; part < STEP; part += 32)
#pragma unroll
        for (int i = 0; i < TM; ++i)
          products_start(d[i], a + (i * 64 * ROW + part) / 16, b + part / 16);
      products_commit();
      products_wait<RUNNING>();
    }

    __device__ __forceinline__ void finish() {
      products_wait<0>();
      hold();
    }

    __device__ __forceinline__ void store(float *to, int width) const {
      const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
      const int m = warp / 4 * (TM * 64) + warp % 4 * 16 + lane / 4, n = lane % 4 * 2;
#pragma unroll
      for (int i = 0; i < TM; ++i)
#pragma unroll
        for (int j = 0; j < BN / 8; ++j)
          store_fragment(to + (m + i * 64) * width + n + j * 8, width, d[i] + j * 4);
    }
  };
};

// Each thread has TM rows times TN columns of sums, the columns in runs of 4. Weights are
// [STEP / 4, BN] floats.
template <class K, int BM, int BN, int TM, int TN> struct Scalar : PaddedRows {
  static constexpr int WEIGHT_BYTES = BN * STEP, DEPTH = STEP / 4;
  static constexpr int COLUMNS = BN / TN, ROWS = BM / TM, RUNS = TN / 4;

  DEVICE int weight_place(int vector) { return vector * VECTOR; }

  struct Sums {
    static constexpr int SIZE = TM * RUNS * 4;
    float d[TM][RUNS][4];

    __device__ __forceinline__ Sums() { begin(); }
    __device__ __forceinline__ void begin() { fill(all(), 0.0f); }
    __device__ __forceinline__ float (&all())[SIZE] { return (float (&)[SIZE])d; }

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

    __device__ __forceinline__ void finish() {}

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

// Convolution as a matrix product that gathers its rows on the way: implicit GEMM.
//
// Row m of the left matrix is the window of output position m: for each offset in the kernel the
// channels of a group, in vectors of 16 bytes. Column n of the right matrix holds the weights of
// filter n. A block computes BM rows times BN columns in steps of K::Math::STEP bytes of each row;
// STAGES tiles are on their way, or being multiplied, at a time. With SPLIT over 1 the blocks of a
// cluster take a part of the steps each and add up their sums through each other's shared memory.
//
// Weights are [groups, filters / BN, steps, tile]; a tile is as K::Math reads it.

constexpr int VECTOR = 16;

// The rows whose inputs a thread copies: where their windows start.
template <class K> struct Rows {
  typedef typename K::X0 X;
  typedef typename X::T T;
  static constexpr int V = VECTOR / sizeof(T), WIDTH = K::Math::STEP / VECTOR;
  static constexpr int EACH_PASS = K::THREADS / WIDTH;
  static constexpr int COUNT = (K::BM + EACH_PASS - 1) / EACH_PASS;

  const T *start[COUNT];
  int z[COUNT], y[COUNT], x[COUNT];
  int column;

  __device__ __forceinline__ Rows(const T *from, int tile, int group) : column(threadIdx.x % WIDTH) {
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
      const int row = threadIdx.x / WIDTH + i * EACH_PASS, m = tile * K::BM + row;
      Place p = position<typename K::Y>(m);
      const bool valid = row < K::BM && m < K::M;
      z[i] = valid ? p.z * K::SZ - K::PZ : -(1 << 28);
      y[i] = p.y * K::SY - K::PY;
      x[i] = p.x * K::SX - K::PX;
      p = {valid ? p.n : 0, group * K::INNER, z[i], y[i], x[i]};
      start[i] = from + (valid ? at<X>(p) : 0);
    }
  }

  // Starts the copies of one step: zeros where there is no channel.
  __device__ __forceinline__ void copy(char *tile, int step) const {
    const int vector = step * WIDTH + column;
    const int offset = vector / K::VECTORS, c = vector % K::VECTORS * V;
    const int dx = offset % K::KX * K::DX, dy = offset / K::KX % K::KY * K::DY;
    const int dz = offset / (K::KX * K::KY) * K::DZ;
    const Place shift = {0, c, dz, dy, dx};
    const typename X::Index distance = at<X>(shift);
    const int left = (K::INNER - c) * (int)sizeof(T), bytes = left < VECTOR ? left : VECTOR;
    tile += K::Math::place(threadIdx.x / WIDTH, column);
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
      const int row = threadIdx.x / WIDTH + i * EACH_PASS;
      const bool valid = offset < K::TAPS && (unsigned)(z[i] + dz) < X::NZ &&
                         (unsigned)(y[i] + dy) < X::NY && (unsigned)(x[i] + dx) < X::NX;
      if (K::BM % EACH_PASS == 0 || row < K::BM)
        copy_start(tile + i * EACH_PASS * K::Math::ROW, start[i] + (valid ? distance : 0),
                   valid ? bytes : 0);
    }
  }
};

// Starts the copies of one tile of weights.
template <class K> DEVICE void copy_weights(char *tile, const char *weights) {
  constexpr int count = K::BN * (K::Math::STEP / VECTOR);
  tile += K::Math::weight_place(threadIdx.x);
  weights += threadIdx.x * VECTOR;
#pragma unroll
  for (int i = 0; i < (count + K::THREADS - 1) / K::THREADS; ++i) {
    const int pass = i * K::THREADS;
    if (count % K::THREADS == 0 || threadIdx.x + pass < count)
      copy_start(tile + K::Math::weight_place(pass), weights + pass * VECTOR, VECTOR);
  }
}

// Collects sums that fill the registers: a few at a time meet totals, which lie in local memory.
template <int SIZE> DEVICE void collect_few(Total *totals, float (&sums)[SIZE]) {
  constexpr int few = 8;
  static_assert(SIZE % few == 0, "sums in a thread come in eights");
#pragma unroll
  for (int i = 0; i < SIZE; i += few) collect(hidden(totals) + i, (float (&)[few])sums[i]);
}

// Sums gets all products of the steps [first, last), collected every K::COLLECTED steps. The
// products of RUNNING steps are still being computed when the next ones are started, so that copies
// may overwrite only earlier tiles.
template <class K, class Sums>
DEVICE void add_products(Sums &sums, char *memory, const Rows<K> &rows, const char *weights,
                         int first, int last) {
  typedef typename K::Math Math;
  constexpr int left = K::BM * Math::ROW, stage = left + Math::WEIGHT_BYTES;
  constexpr int ahead = K::STAGES - 1 - Math::RUNNING;
  static_assert(ahead > 0, "the copies of a step need a tile that nothing reads");
  constexpr bool collects = K::PART > K::COLLECTED;
  Total totals[collects ? Sums::SIZE : 1];
  auto copy = [&](int step) {
    if (step < last) {
      char *tile = memory + (step - first) % K::STAGES * stage;
      rows.copy(tile, step);
      copy_weights<K>(tile + left, weights + (long long)step * (K::BN * Math::STEP));
    }
    copy_commit();
  };
#pragma unroll
  for (int i = 0; i < ahead; ++i) copy(first + i);
#pragma unroll 1
  for (int step = first; step < last; ++step) {
    copy_wait<ahead - 1>();
    Math::arrived();
    barrier();
    copy(step + ahead);
    const char *tile = memory + (step - first) % K::STAGES * stage;
    sums.multiply(tile, tile + left);
    if (collects && (step - first) % K::COLLECTED == K::COLLECTED - 1) {
      sums.finish();
      collect_few(totals, sums.all());
      sums.begin();
    }
  }
  sums.finish();
  if constexpr (collects) {
    collect_few(totals, sums.all());
    take(sums.all(), hidden(totals));
  }
  copy_wait<0>();
  barrier();
}

// Computes what is not finite again, from the channels of its own group alone: the groups that are
// computed as one have zeros for each other's channels, and zero times NaN or infinity is NaN.
template <class K, int V>
DEVICE void keep_apart(float (&v)[V], const typename K::Arguments &a, const Place &p) {
  constexpr int inner = K::INNER / K::MERGED, filters = K::FILTERS_APART;
  bool finite = true;
#pragma unroll
  for (int i = 0; i < V; ++i) finite &= v[i] - v[i] == 0.0f;
  if (finite) return;
  float again[V];
#pragma unroll 1
  for (int i = 0; i < V; ++i) {
    const int c = smaller(p.c + i, K::Y::C - 1);
    again[i] = window_sum<K>(a, p, a.apart + c * (inner * K::TAPS), c / filters * inner, inner);
  }
#pragma unroll
  for (int i = 0; i < V; ++i)
    if (v[i] - v[i] != 0.0f) v[i] = again[i];
}

template <class K> DEVICE void gemm(const typename K::Arguments &a) {
  typedef typename K::Y Y;
  constexpr int V = Y::BLOCK, width = K::BN + 4, vectors = K::BN / V;
  char *memory = shared_memory();
  const int part = blockIdx.x % K::SPLIT, tile = blockIdx.x / K::SPLIT;
  const int column = blockIdx.y, group = blockIdx.z;
  const Rows<K> rows(a.x0, tile, group);
  constexpr int bytes = K::BN * K::Math::STEP;
  const char *weights =
      (const char *)a.weight + (long long)(group * gridDim.y + column) * K::STEPS * bytes;
  const int first = part * K::PART, last = first + K::PART;
  typename K::Math::Sums sums;
  add_products<K>(sums, memory, rows, weights, first, last < K::STEPS ? last : K::STEPS);

  float *own = (float *)memory;
  sums.store(own, width);
  if (K::SPLIT > 1)
    cluster_barrier();
  else
    barrier();
  for (int i = part * K::THREADS + threadIdx.x; i < K::BM * vectors; i += K::THREADS * K::SPLIT) {
    const int row = i / vectors, c = i % vectors * V, m = tile * K::BM + row;
    if (m >= K::M || column * K::BN + c >= K::FILTERS) continue;
    float v[V];
    load(v, own + row * width + c);
    for (int other = 1; other < K::SPLIT; ++other) {
      float w[V];
      load(w, cluster_shared(own, (part + other) % K::SPLIT) + row * width + c);
      add(v, w);
    }
    Place p = position<Y>(m);
    p.c = group * K::FILTERS + column * K::BN + c;
    if constexpr (K::MERGED > 1) keep_apart<K>(v, a, p);
    K::finish(v, a, p);
    put<Y>(a.y, p, v);
  }
  if (K::SPLIT > 1) cluster_barrier();
}

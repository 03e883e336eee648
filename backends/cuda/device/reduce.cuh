// Whole maps or all channels reduced by the threads of a block together.

// Whole maps, LONG of them sums: K::GROUP threads side by side take vectors of channels, the others share positions.
template <class K> DEVICE void reduce_maps(const typename K::Arguments &a) {
  typedef typename K::X0 X;
  constexpr int V = K::V, slices = K::THREADS / K::GROUP, vectors = (X::C + V - 1) / V;
  constexpr int blocks = (vectors + K::GROUP - 1) / K::GROUP, positions = X::NX * X::NY * X::NZ;
  float *partial = (float *)shared_memory();
  const int thread = threadIdx.x, slice = thread / K::GROUP;
  const int vector = blockIdx.x % blocks * K::GROUP + thread % K::GROUP;
  const Place p = {(int)blockIdx.x / blocks, vector * V, 0, 0, 0};
  float v[V];
  Total totals[V], all[V];
  int terms = 0;
  fill(v, K::START);
  if (vector < vectors)
    for (int i = slice; i < positions; i += slices) {
      Place q = position<X>(i);
      q.n = p.n, q.c = p.c;
      float u[V];
      fetch<X>(u, a.x0, q);
      K::begin(u, a, q);
      K::combine(v, u, p, q);
      if (K::LONG && ++terms % TOGETHER == 0) collect(totals, v);
    }
  if (K::LONG) {
    collect(totals, v);
    take(v, totals);
  }
  for (int i = 0; i < V; ++i) partial[thread * V + i] = v[i];
  barrier();
  if (slice == 0 && vector < vectors) {
    for (int other = 1; other < slices; ++other) {
      float u[V];
      for (int i = 0; i < V; ++i) u[i] = partial[(thread + other * K::GROUP) * V + i];
      if (K::LONG) collect(all, v);
      K::combine(v, u, p, p);
    }
    if (K::LONG) {
      collect(all, v);
      take(v, all);
    }
    K::scale(v);
    K::finish(v, a, p);
    put<typename K::Y>(a.y, p, v);
  }
}

struct Sum {
  DEVICE float of(float a, float b) { return a + b; }
};

struct Largest {
  DEVICE float of(float a, float b) { return maximum(a, b); }
};

// All threads' numbers combined, for all threads.
template <class F, int THREADS> DEVICE float together(float value, float *partial) {
  partial[threadIdx.x] = value;
  barrier();
  for (int half = THREADS / 2; half > 0; half /= 2) {
    if (threadIdx.x < half)
      partial[threadIdx.x] = F::of(partial[threadIdx.x], partial[threadIdx.x + half]);
    barrier();
  }
  const float result = partial[0];
  barrier();
  return result;
}

// Softmax over the channels of one position, shifted by the largest against overflow.
template <class K> DEVICE void softmax(const typename K::Arguments &a) {
  typedef typename K::X0 X;
  float *partial = (float *)shared_memory();
  Place p = position<X>(blockIdx.x);
  float largest = -INFINITY;
  LongSum total;
  for (p.c = threadIdx.x; p.c < X::C; p.c += K::THREADS) largest = maximum(largest, pick<X>(a.x0, p));
  largest = together<Largest, K::THREADS>(largest, partial);
  for (p.c = threadIdx.x; p.c < X::C; p.c += K::THREADS) total.add(expf(pick<X>(a.x0, p) - largest));
  const float factor = 1.0f / together<Sum, K::THREADS>(total.value(), partial);
  for (p.c = threadIdx.x; p.c < K::PADDED; p.c += K::THREADS) {
    float v[1] = {p.c < X::C ? expf(pick<X>(a.x0, p) - largest) * factor : 0.0f};
    K::finish(v, a, p);
    put<typename K::Y>(a.y, p, v);
  }
}

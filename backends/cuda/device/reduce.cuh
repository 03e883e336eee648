// Whole maps or all channels reduced by the threads of a block together.

// Whole maps, LONG of them sums: K::GROUP threads side by side take vectors of channels, the others
// share positions.
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

// A group of elements, of LANES groups side by side, and their statistics, which the threads of a
// block find together; s[lane] are those of a lane so far.
template <class K> struct Group {
  const typename K::Arguments &a;
  const Place p;
  float *partial;
  float s[K::LANES][K::STATISTICS];
};

// Each element of a group for step(lane, element, statistics of the lane), divided among threads.
template <class K, class Step> DEVICE void walk(Group<K> &group, Step step) {
  for (int i = threadIdx.x; i < K::ELEMENTS; i += K::THREADS) {
    float u[K::LANES];
    fetch<typename K::X0>(u, group.a.x0, K::element(group.p, i));
    for (int j = 0; j < K::LANES; ++j) step(j, u[j], group.s[j]);
  }
}

// Statistic k: the sum of term(x, statistics) times a factor.
template <class K, class Term> DEVICE void sum(Group<K> &group, int k, float factor, Term term) {
  LongSum v[K::LANES];
  walk(group, [&](int j, float x, const float *s) { v[j].add(term(x, s)); });
  for (int j = 0; j < K::LANES; ++j)
    group.s[j][k] = together<Sum, K::THREADS>(v[j].value(), group.partial) * factor;
}

// Statistic k: the largest term(x, statistics).
template <class K, class Term> DEVICE void largest(Group<K> &group, int k, Term term) {
  float v[K::LANES];
  fill(v, -INFINITY);
  walk(group, [&](int j, float x, const float *s) { v[j] = maximum(v[j], term(x, s)); });
  for (int j = 0; j < K::LANES; ++j)
    group.s[j][k] = together<Largest, K::THREADS>(v[j], group.partial);
}

template <class K, class Of> DEVICE void once(Group<K> &group, int k, Of of) {
  for (int j = 0; j < K::LANES; ++j) group.s[j][k] = of(group.s[j]);
}

// A function of single elements and the statistics of their groups. Channels behind the last are
// zeros.
template <class K> DEVICE void groupwise(const typename K::Arguments &a) {
  typedef typename K::X0 X;
  typedef typename K::Y Y;
  constexpr int W = K::LANES;
  Group<K> group = {a, K::group(blockIdx.x), (float *)shared_memory()};
  K::statistics(group);
  const int results = K::results(group.p);
  for (int i = threadIdx.x; i < results; i += K::THREADS) {
    const Place q = K::result(group.p, i);
    float v[W];
    fill(v, 0.0f);
    if (W > 1 || q.c < Y::C) {
      fetch<X>(v, a.x0, q);
      K::compute(v, a, q, group.s);
    }
    K::finish(v, a, q);
    put<Y>(a.y, q, v);
  }
}

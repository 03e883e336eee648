// Depthwise and narrowly grouped convolution: one vector of channels, a run of outputs on a row.
//
// Groups have as many outputs as inputs, and their width divides the vector: lane l of an output
// vector needs the channels l / WIDTH * WIDTH to l / WIDTH * WIDTH + WIDTH - 1 of the same vector
// of inputs. Weights are [kernel, width, channels]. LONG sums are collected after each row.

template <class K> DEVICE void grouped(const typename K::Arguments &a) {
  typedef typename K::X0 X;
  typedef typename K::Y Y;
  typedef typename X::T T;
  constexpr int V = K::V, vectors = (Y::C + V - 1) / V, runs = (Y::NX + K::RUN - 1) / K::RUN;
  constexpr int row = (K::RUN - 1) * K::SX + (K::KX - 1) * K::DX + 1;
  int number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= Y::N * Y::NZ * Y::NY * runs * vectors) return;
  const int c = number % vectors * V;
  number /= vectors;
  const Place p = {number / (runs * Y::NY * Y::NZ), c, number / (runs * Y::NY) % Y::NZ,
                   number / runs % Y::NY, number % runs * K::RUN};
  float sums[K::RUN][V];
  Total totals[K::RUN][V];
#pragma unroll
  for (int r = 0; r < K::RUN; ++r) fill(sums[r], 0.0f);
#pragma unroll 1
  for (int kj = 0; kj < K::KZ * K::KY; ++kj) {
    Place q = tap<K>(p, kj / K::KY, kj % K::KY, 0);
    q.c = c;
    if ((unsigned)q.z >= X::NZ || (unsigned)q.y >= X::NY) continue;
    Vector<T, V> inputs[row];
#pragma unroll
    for (int i = 0; i < row; ++i) {
      Place at_i = q;
      at_i.x += i;
      if ((unsigned)at_i.x < X::NX)
        inputs[i] = *reinterpret_cast<const Vector<T, V> *>(a.x0 + at<X>(at_i));
      else
        for (int l = 0; l < V; ++l) from_float(inputs[i].v[l], 0.0f);
    }
#pragma unroll
    for (int i = 0; i < K::KX; ++i)
#pragma unroll
      for (int j = 0; j < K::WIDTH; ++j) {
        float w[V];
        load(w, a.weight + ((kj * K::KX + i) * K::WIDTH + j) * (vectors * V) + c);
#pragma unroll
        for (int r = 0; r < K::RUN; ++r)
#pragma unroll
          for (int l = 0; l < V; ++l)
            sums[r][l] +=
                to_float(inputs[r * K::SX + i * K::DX].v[l / K::WIDTH * K::WIDTH + j]) * w[l];
      }
    if (K::LONG)
#pragma unroll
      for (int r = 0; r < K::RUN; ++r) collect(totals[r], sums[r]);
  }
#pragma unroll
  for (int r = 0; r < K::RUN; ++r) {
    if (K::LONG) take(sums[r], totals[r]);
    Place q = p;
    q.x += r;
    if (q.x >= Y::NX) continue;
    K::finish(sums[r], a, q);
    put<Y>(a.y, q, sums[r]);
  }
}

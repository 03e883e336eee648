// Weighted operators as plain loops: what serves where no faster form does.

// Where offset (k, j, i) of a kernel meets the input for the output at p.
template <class K> DEVICE Place tap(const Place &p, int k, int j, int i) {
  return {p.n, 0, p.z * K::SZ + k * K::DZ - K::PZ, p.y * K::SY + j * K::DY - K::PY,
          p.x * K::SX + i * K::DX - K::PX};
}

template <class L> DEVICE bool inside(const Place &p) {
  return (unsigned)p.z < L::NZ && (unsigned)p.y < L::NY && (unsigned)p.x < L::NX;
}

// The sum of a window of `inner` channels from `first` on, times weights [channels, kernel].
template <class K>
DEVICE float window_sum(const typename K::Arguments &a, const Place &p, const float *weight, int first,
                        int inner) {
  typedef typename K::X0 X;
  LongSum total;
  for (int k = 0; k < K::KZ; ++k)
    for (int j = 0; j < K::KY; ++j)
      for (int i = 0; i < K::KX; ++i) {
        Place q = tap<K>(p, k, j, i);
        if (!inside<X>(q)) continue;
        const int offset = (k * K::KY + j) * K::KX + i;
        for (int l = 0; l < inner; ++l) {
          q.c = first + l;
          total.add(pick<X>(a.x0, q) * weight[l * K::TAPS + offset]);
        }
      }
  return total.value();
}

// Output channel c of a convolution whose kernel may depend on the position: weights [filters,
// tiles, channels of a group, kernel].
template <class K> DEVICE float convolve(const typename K::Arguments &a, const Place &p, int c) {
  const float *weight = a.weight + (c * K::TILES + K::tile(p)) * (K::INNER * K::TAPS);
  return window_sum<K>(a, p, weight, c / K::FILTERS * K::INNER, K::INNER);
}

// The input index whose kernel reaches output `index` with an offset; -1 if none does.
DEVICE int source(int index, int offset, int stride, int dilation, int before, int size) {
  const int reached = index + before - offset * dilation;
  return reached >= 0 && reached % stride == 0 && reached / stride < size ? reached / stride : -1;
}

// Output channel c of a transposed convolution: weights [channels, filters of a group, kernel].
template <class K> DEVICE float convolve_back(const typename K::Arguments &a, const Place &p, int c) {
  typedef typename K::X0 X;
  const int first = c / K::FILTERS * K::INNER;
  LongSum total;
  for (int k = 0; k < K::KZ; ++k)
    for (int j = 0; j < K::KY; ++j)
      for (int i = 0; i < K::KX; ++i) {
        Place q = {p.n, 0, source(p.z, k, K::SZ, K::DZ, K::PZ, X::NZ),
                   source(p.y, j, K::SY, K::DY, K::PY, X::NY),
                   source(p.x, i, K::SX, K::DX, K::PX, X::NX)};
        if (q.z < 0 || q.y < 0 || q.x < 0) continue;
        const int offset = (k * K::KY + j) * K::KX + i;
        for (int l = 0; l < K::INNER; ++l) {
          q.c = first + l;
          total.add(pick<X>(a.x0, q) *
                    a.weight[(q.c * K::FILTERS + c % K::FILTERS) * K::TAPS + offset]);
        }
      }
  return total.value();
}

// Squared distance of a sample from centre c.
template <class K> DEVICE float distance(const typename K::Arguments &a, const Place &p, int c) {
  typedef typename K::X0 X;
  constexpr int elements = X::C * X::NZ * X::NY * X::NX;
  LongSum total;
  for (int i = 0; i < elements; ++i) {
    const float d = pick<X>(a.x0, element<X>(p.n, i)) - a.weight[c * elements + i];
    total.add(d * d);
  }
  return total.value();
}

// Number c at p of the product of the first operand as a matrix, or its transpose, and the second.
template <class K> DEVICE float multiply(const typename K::Arguments &a, const Place &p, int c) {
  typedef typename K::X0 A;
  typedef typename K::X1 B;
  LongSum total;
  for (int k = 0; k < K::INNER; ++k) {
    Place q = p, r = position<A>(K::TRANSPOSED ? c : k);
    r.n = p.n, r.c = K::TRANSPOSED ? k : c, q.c = k;
    total.add(pick<A>(a.x0, r) * pick<B>(a.x1, q));
  }
  return total.value();
}

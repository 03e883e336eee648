// One thread for each vector of outputs.

// The place that a thread computes; false if there is none. Neighbouring threads have
// neighbouring addresses: channels first if they lie side by side, else positions.
template <class K> DEVICE bool own_place(Place &p) {
  typedef typename K::Y Y;
  constexpr int vectors = (Y::C + K::V - 1) / K::V, positions = Y::NX * Y::NY * Y::NZ;
  const long long number = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (number >= (long long)Y::N * positions * vectors) return false;
  const bool channels_first = Y::c == 1;
  const int rest = (int)(number / (channels_first ? vectors : positions));
  if (channels_first) {
    p = position<Y>(rest);
    p.c = (int)(number % vectors) * K::V;
  } else {
    p = position<Y>((int)(number % positions));
    p.n = rest / vectors;
    p.c = rest % vectors * K::V;
  }
  return true;
}

template <class K> DEVICE void outputs(const typename K::Arguments &a) {
  Place p;
  if (!own_place<K>(p)) return;
  float v[K::V];
  K::core(v, a, p);
  K::finish(v, a, p);
  put<typename K::Y>(a.y, p, v);
}

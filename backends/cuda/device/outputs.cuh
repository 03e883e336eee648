// One vector of outputs, or a few, in each thread.

// The vectors of a tensor and their places, in the order of addresses: channels first if they lie
// side by side, else positions.
template <class L, int V> struct Vectors {
  static constexpr int ACROSS = (L::C + V - 1) / V, POSITIONS = L::NX * L::NY * L::NZ;
  typedef typename L::Index Index;
  static constexpr Index COUNT = (Index)L::N * POSITIONS * ACROSS;

  DEVICE Place place(Index number) {
    const bool channels_first = L::c == 1;
    const int rest = (int)(number / (channels_first ? ACROSS : POSITIONS));
    Place p;
    if (channels_first) {
      p = position<L>(rest);
      p.c = (int)(number % ACROSS) * V;
    } else {
      p = position<L>((int)(number % POSITIONS));
      p.n = rest / ACROSS;
      p.c = rest % ACROSS * V;
    }
    return p;
  }
};

// Each thread computes OUTPUTS vectors, those of neighbouring threads side by side. All are read
// before the first is written, since operand and result may be the same memory: so the reads are
// on their way together. A thread that has fewer computes its first one again.
template <class K> DEVICE void outputs(const typename K::Arguments &a) {
  typedef Vectors<typename K::Y, K::V> All;
  typedef typename K::Y::Index Index;
  const Index first = (Index)blockIdx.x * (blockDim.x * K::OUTPUTS) + threadIdx.x;
  if (first >= All::COUNT) return;
  Place p[K::OUTPUTS];
  float v[K::OUTPUTS][K::V];
#pragma unroll
  for (int i = 0; i < K::OUTPUTS; ++i) {
    const Index number = first + i * (Index)blockDim.x;
    p[i] = All::place(number < All::COUNT ? number : first);
    K::core(v[i], a, p[i]);
    K::finish(v[i], a, p[i]);
  }
#pragma unroll
  for (int i = 0; i < K::OUTPUTS; ++i)
    if (first + i * (Index)blockDim.x < All::COUNT) put<typename K::Y>(a.y, p[i], v[i]);
}

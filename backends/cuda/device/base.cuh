// Places in tensors, and vectors of neighbouring channels.
//
// A tensor's layout is a struct: T the type of its numbers, N samples of C channels at NZ x NY x NX
// positions, BLOCK the channels that can be read or written as one vector, and the distances
// n, c, z, y, x of neighbours on each axis in numbers. Axes that a network does not have are 1.

struct Place {
  int n, c, z, y, x;
};

template <class L> DEVICE typename L::Index at(const Place &p) {
  typedef typename L::Index Index;
  return (Index)p.n * L::n + (Index)p.c * L::c + (Index)p.z * L::z + (Index)p.y * L::y +
         (Index)p.x * L::x;
}

template <class T, int V> struct alignas(sizeof(T) * V < 16 ? sizeof(T) * V : 16) Vector {
  T v[V];
};

template <int V, class T> DEVICE void load(float (&v)[V], const T *from) {
  const Vector<T, V> found = *reinterpret_cast<const Vector<T, V> *>(from);
#pragma unroll
  for (int i = 0; i < V; ++i) v[i] = to_float(found.v[i]);
}

template <int V, class T> DEVICE void store(T *to, const float (&v)[V]) {
  Vector<T, V> given;
#pragma unroll
  for (int i = 0; i < V; ++i) from_float(given.v[i], v[i]);
  *reinterpret_cast<Vector<T, V> *>(to) = given;
}

DEVICE int larger(int a, int b) { return a > b ? a : b; }
DEVICE int smaller(int a, int b) { return a < b ? a : b; }

// One number; 0 for a channel that there is not.
template <class L> DEVICE float pick(const typename L::T *from, const Place &p) {
  return p.c < L::C ? to_float(from[at<L>(p)]) : 0.0f;
}

// V channels from p.c on. Lanes without a channel hold any number, NaN and infinities among them.
template <class L, int V> DEVICE void fetch(float (&v)[V], const typename L::T *from, Place p) {
  if constexpr (V == 1) {
    v[0] = pick<L>(from, p);
  } else if constexpr (L::BLOCK >= V) {
    load(v, from + at<L>(p));
  } else {
#pragma unroll
    for (int i = 0; i < V; ++i, ++p.c) v[i] = pick<L>(from, p);
  }
}

template <class L, int V> DEVICE void put(typename L::T *to, const Place &p, const float (&v)[V]) {
  static_assert(V == 1 || L::BLOCK >= V, "vectors of an output lie side by side");
  store(to + at<L>(p), v);
}

// A sum of many numbers, in two: `low` is what `high` loses by rounding, NaN from where that is
// infinite (Knuth 1997, The Art of Computer Programming 2, section 4.2.2).
struct Total {
  float high = 0.0f, low = 0.0f;

  __device__ __forceinline__ void add(float value) {
    const float sum = high + value, given = sum - high;
    low += (high - (sum - given)) + (value - given);
    high = sum;
  }

  __device__ __forceinline__ float value() const { return low == low ? high + low : high; }
};

// Terms of a part of a long sum that is formed in one number.
constexpr int TOGETHER = 16;

// A sum of many terms, part by part.
struct LongSum {
  Total total;
  float part = 0.0f;
  int terms = 0;

  __device__ __forceinline__ void add(float term) {
    part += term;
    if (++terms == TOGETHER) close();
  }

  __device__ __forceinline__ void close() {
    total.add(part);
    part = 0.0f, terms = 0;
  }

  __device__ __forceinline__ float value() {
    close();
    return total.value();
  }
};

// Adds parts of sums to their totals; they begin anew.
template <int V> DEVICE void collect(Total *totals, float (&parts)[V]) {
#pragma unroll
  for (int i = 0; i < V; ++i) {
    totals[i].add(parts[i]);
    parts[i] = 0.0f;
  }
}

// Gives sums what has been collected of them.
template <int V> DEVICE void take(float (&sums)[V], const Total *totals) {
#pragma unroll
  for (int i = 0; i < V; ++i) sums[i] = totals[i].value();
}

template <int V> DEVICE void fill(float (&v)[V], float value) {
#pragma unroll
  for (int i = 0; i < V; ++i) v[i] = value;
}

// v[i] = value(p.c + i) for the channels that there are, else 0.
template <class L, int V, class F> DEVICE void each_channel(float (&v)[V], const Place &p, F value) {
#pragma unroll
  for (int i = 0; i < V; ++i) v[i] = p.c + i < L::C ? value(p.c + i) : 0.0f;
}

// The position with a number, the last axis fastest.
template <class L> DEVICE Place position(int number) {
  return {number / (L::NX * L::NY * L::NZ), 0, number / (L::NX * L::NY) % L::NZ, number / L::NX % L::NY,
          number % L::NX};
}

// The channels of the first operand in the order in which a vector flattens them.
template <class L> DEVICE Place element(int n, int number) {
  Place p = position<L>(number % (L::NX * L::NY * L::NZ));
  p.n = n;
  p.c = number / (L::NX * L::NY * L::NZ);
  return p;
}

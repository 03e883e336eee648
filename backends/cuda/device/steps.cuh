// What the steps of a kernel do to a vector of neighbouring channels; the other ones are generated.

#define EACH for (int i = 0; i < V; ++i)

template <int V> DEVICE void add(float (&v)[V], const float *bias) {
  float b[V];
  load(b, bias);
#pragma unroll
  EACH v[i] += b[i];
}

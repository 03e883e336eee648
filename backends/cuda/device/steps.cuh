// Functions of single elements: activations, per-channel maps, joins.

#define EACH for (int i = 0; i < V; ++i)

DEVICE float clip(float x, float low, float high) { return minimum(maximum(x, low), high); }
DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
DEVICE float hard_sigmoid(float x) { return clip(x + 3.0f, 0.0f, 6.0f) * (1.0f / 6.0f); }

template <int V> DEVICE void relu(float (&v)[V]) {
#pragma unroll
  EACH v[i] = maximum(v[i], 0.0f);
}

template <int V> DEVICE void relu6(float (&v)[V]) {
#pragma unroll
  EACH v[i] = clip(v[i], 0.0f, 6.0f);
}

template <int V> DEVICE void leaky_relu(float (&v)[V], float slope) {
#pragma unroll
  EACH v[i] = v[i] >= 0.0f ? v[i] : slope * v[i];
}

template <int V> DEVICE void sigmoid(float (&v)[V]) {
#pragma unroll
  EACH v[i] = sigmoid(v[i]);
}

template <int V> DEVICE void tanh(float (&v)[V]) {
#pragma unroll
  EACH v[i] = tanhf(v[i]);
}

template <int V> DEVICE void silu(float (&v)[V]) {
#pragma unroll
  EACH v[i] = v[i] / (1.0f + expf(-v[i]));
}

template <int V> DEVICE void hard_sigmoid(float (&v)[V]) {
#pragma unroll
  EACH v[i] = hard_sigmoid(v[i]);
}

template <int V> DEVICE void hard_swish(float (&v)[V]) {
#pragma unroll
  EACH v[i] *= hard_sigmoid(v[i]);
}

template <int V> DEVICE void prelu(float (&v)[V], const float *slope) {
  float w[V];
  load(w, slope);
#pragma unroll
  EACH v[i] = v[i] >= 0.0f ? v[i] : w[i] * v[i];
}

template <int V> DEVICE void affine(float (&v)[V], const float *weight, const float *bias) {
  float w[V], b[V];
  load(w, weight);
  load(b, bias);
#pragma unroll
  EACH v[i] = v[i] * w[i] + b[i];
}

template <int V> DEVICE void add(float (&v)[V], const float (&w)[V]) {
#pragma unroll
  EACH v[i] += w[i];
}

template <int V> DEVICE void add(float (&v)[V], const float *bias) {
  float b[V];
  load(b, bias);
  add(v, b);
}

template <int V> DEVICE void mul(float (&v)[V], const float (&w)[V]) {
#pragma unroll
  EACH v[i] *= w[i];
}

template <int V> DEVICE void max(float (&v)[V], const float (&w)[V]) {
#pragma unroll
  EACH v[i] = maximum(v[i], w[i]);
}

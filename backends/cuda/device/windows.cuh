// Pooling: the elements of a window combined into one.

struct Range {
  int first, end, step;
};

// The part of a window that lies in an axis of some size.
DEVICE Range window(int start, int kernel, int dilation, int size) {
  const int end = start + (kernel - 1) * dilation + 1;
  const int skipped = start < 0 ? (dilation - 1 - start) / dilation * dilation : 0;
  return {start + skipped, end < size ? end : size, dilation};
}

// Window i of an axis of some size that has so many windows.
DEVICE Range adaptive_window(int i, int size, int windows) {
  return {i * size / windows, ((i + 1) * size + windows - 1) / windows, 1};
}

// Positions of a window that lie in an axis, or in a padded one if that is what counts.
DEVICE float counted(int start, int kernel, int before, int end) {
  const int first = start < -before ? -before : start;
  const int last = start + kernel < end ? start + kernel : end;
  return (float)(last - first);
}

DEVICE float counted(const Range &r) { return (float)(r.end - r.first); }

// v combined with each element of a window by K::combine(v, element, place of the element). LONG
// are sums of many terms.
template <class K, int V>
DEVICE void pool(float (&v)[V], const typename K::Arguments &a, const Place &p, const Range &z,
                 const Range &y, const Range &x) {
  Total totals[V];
  int terms = 0;
  for (int k = z.first; k < z.end; k += z.step)
    for (int j = y.first; j < y.end; j += y.step)
      for (int i = x.first; i < x.end; i += x.step) {
        const Place q = {p.n, p.c, k, j, i};
        float u[V];
        fetch<typename K::X0>(u, a.x0, q);
        K::begin(u, a, q);
        K::combine(v, u, p, q);
        if (K::LONG && ++terms % TOGETHER == 0) collect(totals, v);
      }
  if (K::LONG) {
    collect(totals, v);
    take(v, totals);
  }
}

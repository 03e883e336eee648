// What device/primitives.cuh and device/warpgroup.cuh say of tensor cores, on a processor without a
// GPU. A wgmma is computed as late as products_wait allows, of what lies in shared memory then; its
// sums are NaN until then.

DEVICE void warp_barrier() { emulator::wait(emulator::warp().barrier, 32); }

DEVICE void load_matrices(unsigned (&r)[4], const void *row) {
  emulator::Warp &warp = emulator::warp();
  const int lane = emulator::lane(), turn = emulator::current->turn ^= 1;
  warp.rows[turn][lane] = row;
  warp_barrier();
  for (int i = 0; i < 4; ++i)
    std::memcpy(&r[i], (const char *)warp.rows[turn][8 * i + lane / 4] + 4 * (lane % 4), 4);
}

DEVICE float operand(unsigned word, int, float) {
  float value;
  std::memcpy(&value, &word, 4);
  return value;
}

DEVICE float operand(unsigned word, int index, Half) {
  Half values[2];
  std::memcpy(values, &word, 4);
  return (float)values[index];
}

// Lane l holds of a, in words: rows l / 4 and l / 4 + 8, word columns l % 4 and l % 4 + 4; of b
// column l / 4, words l % 4 and l % 4 + 4; of d rows as of a, columns l % 4 * 2 and the next. A
// word is two halves or one float. Each lane computes its four sums from all fragments.
template <class T>
DEVICE void multiply_add(float (&d)[4], const unsigned (&a)[4], const unsigned *b, T type) {
  emulator::Warp &warp = emulator::warp();
  const int lane = emulator::lane(), turn = emulator::current->turn ^= 1;
  std::memcpy(warp.a[turn][lane], a, sizeof a);
  std::memcpy(warp.b[turn][lane], b, 2 * sizeof *b);
  warp_barrier();
  for (int i = 0; i < 4; ++i) {
    const int high = i / 2, column = lane % 4 * 2 + i % 2;
    for (int word = 0; word < 8; ++word)
      for (int part = 0; part < (int)(4 / sizeof(T)); ++part) {
        const unsigned *left = warp.a[turn][lane / 4 * 4 + word % 4];
        const unsigned *right = warp.b[turn][column * 4 + word % 4];
        d[i] += operand(left[high + word / 4 * 2], part, type) *
                operand(right[word / 4], part, type);
      }
  }
}

DEVICE unsigned round_operand(unsigned bits, float) { return (bits + 0x1000u) & ~0x1fffu; }
DEVICE unsigned round_operand(unsigned bits, Half) { return bits; }

#pragma GCC push_options
#pragma GCC optimize("O3")  // Most of the time of kernels goes here.

namespace emulator {

constexpr unsigned BASE = 1024;  // the address of a block's dynamic shared memory

// Rows of 16 halves in shared memory as a descriptor says (PTX ISA, "Matrix Descriptor Format" and
// "Strides", K-major): without swizzling in tiles of 8 rows of 16 bytes; else in tiles of 8 rows of
// 128, 64 or 32 bytes, where the address bits from 4 on are xored with those from 7 on.
struct Matrix {
  unsigned start, leading, stride, mode, width;

  explicit Matrix(unsigned long long bits)
      : start((bits & 0x3fff) << 4), leading((bits >> 16 & 0x3fff) << 4),
        stride((bits >> 32 & 0x3fff) << 4), mode(bits >> 62), width(mode ? 256 >> mode : 16) {
    if (bits & 0x3ff1c000c000c000) fail("bits of a descriptor that have no meaning are set");
    if (bits >> 49 & 7) fail("a descriptor has a base offset, which is not emulated");
    if (mode && leading != 16) fail("the leading offset of a swizzled matrix is not 1");
    if (mode && start % (8 * width) >= width) fail("a swizzled matrix begins within a tile");
  }

  // Where vector 0 or 1 of a row lies in the block's shared memory.
  unsigned at(int row, int vector) const {
    unsigned address = start + row / 8 * stride + row % 8 * width;
    address += vector * (mode ? 16 : leading);
    if (mode) address ^= address >> 3 & (width - 16);
    if (address < BASE || address - BASE + 16 > current->block->shared.size() - ALIGNMENT)
      fail("a wgmma reads outside of shared memory");
    return address - BASE;
  }

  // Where both vectors of all rows lie.
  std::vector<unsigned> places(int rows) const {
    std::vector<unsigned> found;
    for (int i = 0; i < 2 * rows; ++i) found.push_back(at(i / 2, i % 2));
    return found;
  }
};

inline void require_exposed(const std::vector<unsigned> &places) {
  const char *exposed = current->block->exposed.data();
  bool all = true;
  for (unsigned place : places) all &= exposed[place / 16];
  if (!all) fail("a wgmma reads what no fence has exposed");
}

// One row of 16 halves.
inline void load(float *values, const char *shared, const unsigned *places) {
  Half halves[16];
  std::memcpy(halves, shared + places[0], 16);
  std::memcpy(halves + 8, shared + places[1], 16);
  for (int i = 0; i < 16; ++i) values[i] = (float)halves[i];
}

// Thread t of a warpgroup has rows t / 32 * 16 + t % 32 / 4 and the eighth after, and of each 8
// columns those from t % 4 * 2 on, two: first of the first row, then of the second one.
inline void compute(const Operands &operands, float *sums) {
  const unsigned *a = operands.rows.data(), *b = operands.columns.data();
  const char *shared = aligned_shared(*current->block);
  const int thread = current->thread.x % 128, m = thread / 32 * 16 + thread % 32 / 4;
  float rows[2][16], column[16];
  load(rows[0], shared, a + 2 * m);
  load(rows[1], shared, a + 2 * (m + 8));
  for (int eight = 0; eight < operands.count / 8; ++eight)
    for (int i = 0; i < 2; ++i) {
      load(column, shared, b + 2 * (eight * 8 + thread % 4 * 2 + i));
      float low = sums[eight * 4 + i], high = sums[eight * 4 + 2 + i];
      for (int k = 0; k < 16; ++k) {
        low += rows[0][k] * column[k];
        high += rows[1][k] * column[k];
      }
      sums[eight * 4 + i] = low;
      sums[eight * 4 + 2 + i] = high;
    }
}

// All threads of a warpgroup start the same products, by so many columns, in the same order.
inline const Operands *require_alike(int count, unsigned long long a, unsigned long long b) {
  if (threads.x % 128) fail("a wgmma in a block that is no whole number of warpgroups");
  auto &all = current->block->products[current->thread.x / 128];
  const size_t index = current->products.started++;
  if (index == all.size()) all.push_back({a, b, count, Matrix(a).places(64), Matrix(b).places(count)});
  const Operands &operands = all[index];
  if (operands.a != a || operands.b != b || operands.count != count)
    fail("threads of a warpgroup start different wgmmas");
  return &operands;
}

}  // namespace emulator

#pragma GCC pop_options

DEVICE unsigned shared_address(const void *pointer) {
  const emulator::Fiber &fiber = *emulator::current;
  const size_t offset = (const char *)pointer - aligned_shared(*fiber.block);
  return fiber.rank << 24 | (emulator::BASE + (unsigned)offset);
}

DEVICE int warpgroup() { return threadIdx.x / 128; }

DEVICE void expose_copies() {
  for (void *shared : emulator::current->arrived) exposed(shared) = true;
  emulator::current->arrived.clear();
}

DEVICE void products_fence() { emulator::current->products.fenced = true; }

DEVICE void hold(float &) {}

template <int COUNT>
DEVICE void products_start(float (&d)[COUNT], unsigned long long a, unsigned long long b) {
  emulator::Products &own = emulator::current->products;
  const emulator::Operands *operands = emulator::require_alike(2 * COUNT, a, b);
  emulator::require_exposed(operands->rows);
  emulator::require_exposed(operands->columns);
  if (!own.flying.count(d)) {
    if (!own.fenced) emulator::fail("a wgmma takes registers before a fence");
    own.flying[d].values.assign(d, d + COUNT);
  } else {
    for (float sum : d)
      if (!std::isnan(sum)) emulator::fail("a thread changes sums that a wgmma still adds to");
  }
  for (float &sum : d) sum = NAN;
  ++own.flying[d].products;
  own.open.push_back({d, operands});
}

DEVICE void products_commit() {
  emulator::Products &own = emulator::current->products;
  own.groups.push_back(std::move(own.open));
  own.open.clear();
}

template <int PENDING> DEVICE void products_wait() {
  emulator::Products &own = emulator::current->products;
  while ((int)own.groups.size() > PENDING) {
    for (const emulator::Product &product : own.groups.front()) {
      emulator::Flying &flying = own.flying[product.sums];
      emulator::compute(*product.operands, flying.values.data());
      if (--flying.products) continue;
      std::copy(flying.values.begin(), flying.values.end(), product.sums);
      own.flying.erase(product.sums);
      own.fenced = false;
    }
    own.groups.erase(own.groups.begin());
  }
}

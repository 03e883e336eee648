// The primitives of device/primitives.cuh on a processor without a GPU, so that the very text of
// the kernels can be compiled by a C++ compiler and compared with other computations.
//
// A cluster of blocks runs at a time, its threads as fibers one after another. Shared memory is
// filled with NaN first. Copies into it arrive as late as copy_wait allows. Running the threads in
// the opposite order must not change a result: where it does, a barrier is missing.
// emulate_tensor.h has what tensor cores do.

#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <ucontext.h>
#include <vector>

typedef _Float16 Half;

#define DEVICE static inline
#define __device__
#define __forceinline__ inline
#define __global__
#define __launch_bounds__(...)
#define __cluster_dims__(...)

struct Index3 {
  unsigned x, y, z;
};

namespace emulator {

[[noreturn]] inline void fail(const char *what) {
  std::fprintf(stderr, "emulator: %s\n", what);
  std::abort();
}

struct Barrier {
  int arrived = 0, phase = 0;
};

struct Copy {
  void *to;
  const void *from;
  int bytes;
};

struct Warp {
  Barrier barrier;
  const void *rows[2][32];
  unsigned a[2][32][4], b[2][32][2];
};

// The operands of a wgmma: their descriptors, the columns of the second one, and where in shared
// memory the vectors of all rows and columns lie.
struct Operands {
  unsigned long long a, b;
  int count;
  std::vector<unsigned> rows, columns;
};

// A wgmma on its way, and where its sums lie.
struct Product {
  float *sums;
  const Operands *operands;
};

// The sums that wgmma has not given back to a thread yet.
struct Flying {
  std::vector<float> values;
  int products = 0;
};

// A thread's wgmmas. `fenced`: what it did with its registers is ordered before the next one.
struct Products {
  std::vector<Product> open;
  std::vector<std::vector<Product>> groups;
  std::map<float *, Flying> flying;
  size_t started = 0;
  bool fenced = false;
};

// `exposed` says of each vector of shared memory whether wgmma sees what was copied there.
// `products` are those of each warpgroup.
struct Block {
  Index3 index;
  std::vector<char> shared, exposed;
  Barrier barrier;
  std::vector<Warp> warps;
  std::vector<std::deque<Operands>> products;
};

struct Fiber {
  ucontext_t context;
  jmp_buf place;
  bool begun = false;
  std::unique_ptr<char[]> stack;
  Index3 thread;
  Block *block = nullptr;
  bool done = true;
  int rank = 0, turn = 0;
  std::vector<std::vector<Copy>> groups;
  std::vector<Copy> open;
  std::vector<void *> arrived;
  Products products;
};

constexpr size_t STACK = 256 * 1024, ALIGNMENT = 1024;

inline std::vector<std::unique_ptr<Fiber>> fibers;
inline std::vector<Block> blocks;
inline Barrier cluster;
inline Fiber *current = nullptr;
inline jmp_buf scheduler;
inline bool cooperative = false, moved = false;
inline void (*kernel)(const void *) = nullptr;
inline const void *arguments = nullptr;
inline Index3 grid, threads;

// Switching by jumps: unlike swapcontext they make no system call.
inline void yield() {
  if (_setjmp(current->place) == 0) _longjmp(scheduler, 1);
}

__attribute__((noinline)) inline void resume(Fiber &fiber) {
  current = &fiber;
  if (_setjmp(scheduler)) return;
  if (fiber.begun) _longjmp(fiber.place, 1);
  fiber.begun = true;
  setcontext(&fiber.context);
}

inline void wait(Barrier &barrier, int members) {
  if (!cooperative) fail("a barrier in a kernel that is not launched as cooperative");
  const int phase = barrier.phase;
  moved = true;
  if (++barrier.arrived == members) {
    barrier.arrived = 0;
    ++barrier.phase;
    return;
  }
  while (barrier.phase == phase) yield();
}

inline void start() {
  kernel(arguments);
  if (!current->products.flying.empty()) fail("a thread ends before its wgmmas do");
  current->done = true;
  moved = true;
  _longjmp(scheduler, 1);
}

inline Warp &warp() { return current->block->warps[current->thread.x / 32]; }
inline int lane() { return current->thread.x % 32; }

inline void run_cluster(bool backwards) {
  const int count = (int)(blocks.size() * threads.x);
  while ((int)fibers.size() < count) {
    fibers.push_back(std::make_unique<Fiber>());
    fibers.back()->stack = std::make_unique<char[]>(STACK);
  }
  for (int i = 0; i < count; ++i) {
    Fiber &f = *fibers[i];
    f.thread = {i % threads.x, 0, 0};
    f.rank = i / (int)threads.x;
    f.block = &blocks[f.rank];
    f.done = f.begun = false;
    f.turn = 0;
    f.groups.clear(), f.open.clear(), f.arrived.clear();
    f.products = Products();
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.get();
    f.context.uc_stack.ss_size = STACK;
    f.context.uc_link = nullptr;
    makecontext(&f.context, start, 0);
  }
  for (int left = count; left;) {
    moved = false;
    left = 0;
    for (int i = 0; i < count; ++i) {
      Fiber &f = *fibers[backwards ? count - 1 - i : i];
      if (f.done) continue;
      resume(f);
      left += !f.done;
    }
    if (left && !moved) fail("threads wait at a barrier that others never reach");
  }
  for (int i = 0; i < count; ++i) {
    const Fiber &f = *fibers[i];
    if (f.products.started != f.block->products[f.thread.x / 128].size())
      fail("not all threads of a warpgroup start a wgmma");
  }
}

// Runs a kernel: `size` threads in each block, clusters of `span` blocks along x.
inline void launch(void (*body)(const void *), const void *given, const int *blocks_xyz, int size,
                   int shared, int span, bool with_barriers, bool backwards) {
  kernel = body;
  arguments = given;
  cooperative = with_barriers;
  grid = {(unsigned)blocks_xyz[0], (unsigned)blocks_xyz[1], (unsigned)blocks_xyz[2]};
  threads = {(unsigned)size, 1, 1};
  if (grid.x % span) fail("the grid is no multiple of the cluster");
  Fiber single;
  const unsigned count = grid.x * grid.y * grid.z / span;
  for (unsigned number = 0; number < count; ++number) {
    const unsigned id = backwards ? count - 1 - number : number, across = grid.x / span;
    cluster = Barrier();
    blocks.assign(span, Block());
    for (int rank = 0; rank < span; ++rank) {
      Block &block = blocks[rank];
      block.index = {id % across * span + rank, id / across % grid.y, id / (across * grid.y)};
      if (with_barriers) {
        block.shared.assign(shared + ALIGNMENT, (char)0xff);
        block.exposed.assign(shared / 16 + 1, false);
        block.warps.assign((size + 31) / 32, Warp());
        block.products.assign((size + 127) / 128, {});
      }
    }
    if (with_barriers) {
      run_cluster(backwards);
      continue;
    }
    current = &single;
    single.block = &blocks[0];
    for (int i = 0; i < size; ++i) {
      single.thread = {(unsigned)(backwards ? size - 1 - i : i), 0, 0};
      body(given);
    }
  }
}

}  // namespace emulator

#define threadIdx (emulator::current->thread)
#define blockIdx (emulator::current->block->index)
#define blockDim (emulator::threads)
#define gridDim (emulator::grid)

DEVICE float to_float(float value) { return value; }
DEVICE float to_float(Half value) { return (float)value; }
DEVICE void from_float(float &target, float value) { target = value; }
DEVICE void from_float(Half &target, float value) { target = (Half)value; }

DEVICE float maximum(float a, float b) { return a > b || a != a ? a : b; }
DEVICE float minimum(float a, float b) { return a < b || a != a ? a : b; }

DEVICE char *aligned_shared(emulator::Block &block) {
  constexpr size_t unit = emulator::ALIGNMENT;
  const size_t start = (size_t)block.shared.data();
  return block.shared.data() + (unit - start % unit) % unit;
}

DEVICE char *shared_memory() {
  if (!emulator::cooperative) emulator::fail("shared memory in a kernel without barriers");
  return aligned_shared(*emulator::current->block);
}

// Whether wgmma sees the vector at an address of the block's shared memory.
DEVICE char &exposed(const void *shared) {
  emulator::Block &block = *emulator::current->block;
  return block.exposed[((const char *)shared - aligned_shared(block)) / 16];
}

DEVICE void barrier() { emulator::wait(emulator::current->block->barrier, emulator::threads.x); }

DEVICE void cluster_barrier() {
  emulator::wait(emulator::cluster, (int)(emulator::blocks.size() * emulator::threads.x));
}

DEVICE const float *cluster_shared(const float *own, int rank) {
  const char *base = aligned_shared(*emulator::current->block);
  return (const float *)(aligned_shared(emulator::blocks[rank]) + ((const char *)own - base));
}

template <class T> DEVICE T *hidden(T *address) { return address; }

DEVICE void copy_start(void *shared, const void *global, int bytes) {
  if ((size_t)shared % 16 || (bytes && (size_t)global % 16)) emulator::fail("a copy is not aligned");
  std::memset(shared, 0xff, 16);
  exposed(shared) = false;
  emulator::current->open.push_back({shared, global, bytes});
}

DEVICE void copy_commit() {
  emulator::current->groups.push_back(std::move(emulator::current->open));
  emulator::current->open.clear();
}

template <int PENDING> DEVICE void copy_wait() {
  auto &groups = emulator::current->groups;
  while ((int)groups.size() > PENDING) {
    for (const emulator::Copy &copy : groups.front()) {
      std::memset(copy.to, 0, 16);
      if (copy.bytes) std::memcpy(copy.to, copy.from, copy.bytes);
      emulator::current->arrived.push_back(copy.to);
    }
    groups.erase(groups.begin());
  }
}

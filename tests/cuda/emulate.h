// The primitives of device/primitives.cuh on a processor without a GPU, so that the very text of
// the kernels can be compiled by a C++ compiler and compared with other computations.
//
// A cluster of blocks runs at a time, its threads as fibers one after another. Shared memory is
// filled with NaN first. Copies into it arrive as late as copy_wait allows. Running the threads in
// the opposite order must not change a result: where it does, a barrier is missing.

#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
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
};

struct Warp {
  Barrier barrier;
  const void *rows[2][32];
  unsigned a[2][32][4], b[2][32][2];
};

struct Block {
  Index3 index;
  std::vector<char> shared;
  Barrier barrier;
  std::vector<Warp> warps;
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
};

constexpr size_t STACK = 256 * 1024;

inline std::vector<std::unique_ptr<Fiber>> fibers;
inline std::vector<Block> blocks;
inline Barrier cluster;
inline Fiber *current = nullptr;
inline jmp_buf scheduler;
inline bool cooperative = false, moved = false;
inline const std::function<void()> *kernel = nullptr;
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
  (*kernel)();
  if (!current->groups.empty()) current->groups.clear();
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
    f.groups.clear(), f.open.clear();
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
}

// Runs a kernel: `size` threads in each block, clusters of `span` blocks along x.
inline void launch(const std::function<void()> &body, const int *blocks_xyz, int size, int shared,
                   int span, bool with_barriers, bool backwards) {
  kernel = &body;
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
        block.shared.assign(shared + 128, (char)0xff);
        block.warps.assign((size + 31) / 32, Warp());
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
      body();
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

DEVICE char *aligned_shared(emulator::Block &block) {
  const size_t start = (size_t)block.shared.data();
  return block.shared.data() + (128 - start % 128) % 128;
}

DEVICE char *shared_memory() {
  if (!emulator::cooperative) emulator::fail("shared memory in a kernel without barriers");
  return aligned_shared(*emulator::current->block);
}

DEVICE void barrier() { emulator::wait(emulator::current->block->barrier, emulator::threads.x); }

DEVICE void cluster_barrier() {
  emulator::wait(emulator::cluster, (int)(emulator::blocks.size() * emulator::threads.x));
}

DEVICE const float *cluster_shared(const float *own, int rank) {
  const char *base = aligned_shared(*emulator::current->block);
  return (const float *)(aligned_shared(emulator::blocks[rank]) + ((const char *)own - base));
}

DEVICE void copy_start(void *shared, const void *global, bool valid) {
  if ((size_t)shared % 16 || (valid && (size_t)global % 16)) emulator::fail("a copy is not aligned");
  std::memset(shared, 0xff, 16);
  emulator::current->open.push_back({shared, valid ? global : nullptr});
}

DEVICE void copy_commit() {
  emulator::current->groups.push_back(std::move(emulator::current->open));
  emulator::current->open.clear();
}

template <int PENDING> DEVICE void copy_wait() {
  auto &groups = emulator::current->groups;
  while ((int)groups.size() > PENDING) {
    for (const emulator::Copy &copy : groups.front()) {
      if (copy.from)
        std::memcpy(copy.to, copy.from, 16);
      else
        std::memset(copy.to, 0, 16);
    }
    groups.erase(groups.begin());
  }
}

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

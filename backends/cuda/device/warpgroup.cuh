// Products by warpgroups, which the tensor cores read from shared memory by themselves: the part
// that needs code for sm_90a. A warpgroup is four warps, the first of them a multiple of four.
// (PTX ISA, "Asynchronous warpgroup level matrix multiply-accumulate instructions")

// The number of this thread's warpgroup, which the compiler then knows to be the same for a warp.
DEVICE int warpgroup() { return __shfl_sync(0xffffffff, threadIdx.x / 128, 0); }

// Lets wgmma, which reads by another path, see what has arrived of this thread's copies.
DEVICE void expose_copies() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Orders what a thread did with its sums before the products that are added to them.
DEVICE void products_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

// Closes a group of this warpgroup's products.
DEVICE void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Waits until all but the latest PENDING groups are computed.
template <int PENDING> DEVICE void products_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

// Keeps the compiler from writing a sum later than here, or reading it earlier.
DEVICE void hold(float &sum) { asm volatile("" : "+f"(sum)::"memory"); }

// products_start: starts d += a * b for a 64x16 times 16xN of halves that lie in shared memory as
// descriptors say, both with the 16 halves of a row or column side by side. Sums, N / 2 in a
// thread, are laid out as in the PTX ISA, wgmma.m64nNk16: as those of multiply_add in N / 8 tiles.
#define FIVE(t, a, b, c, d, e) "%" #t #a ", %" #t #b ", %" #t #c ", %" #t #d ", %" #t #e ", "
#define TEN(t) FIVE(t, 0, 1, 2, 3, 4) FIVE(t, 5, 6, 7, 8, 9)
#define NAMES_30 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, " TEN(1) TEN(2)
#define NAMES_60 NAMES_30 TEN(3) TEN(4) TEN(5)
#define NAMES_120 NAMES_60 TEN(6) TEN(7) TEN(8) TEN(9) TEN(10) TEN(11)
#define SUMS_4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define SUMS_16(i) SUMS_4(i), SUMS_4(i + 4), SUMS_4(i + 8), SUMS_4(i + 12)
#define SUMS_32 SUMS_16(0), SUMS_16(16)
#define SUMS_64 SUMS_32, SUMS_16(32), SUMS_16(48)
#define SUMS_128 SUMS_64, SUMS_16(64), SUMS_16(80), SUMS_16(96), SUMS_16(112)

#define PRODUCTS_START(N, NAMES, A, B, ...)                                                   \
  DEVICE void products_start(float (&d)[N / 2], unsigned long long a, unsigned long long b) { \
    asm volatile("{ .reg .pred add; setp.eq.u32 add, 0, 0; "                                  \
                 "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.f16.f16 {" NAMES "}, "       \
                 "%" #A ", %" #B ", add, 1, 1, 0, 0; }"                                       \
                 : __VA_ARGS__                                                                \
                 : "l"(a), "l"(b));                                                           \
  }

PRODUCTS_START(64, NAMES_30 "%30, %31", 32, 33, SUMS_32)
PRODUCTS_START(128, NAMES_60 "%60, %61, %62, %63", 64, 65, SUMS_64)
PRODUCTS_START(256, NAMES_120 "%120, %121, %122, %123, %124, %125, %126, %127", 128, 129, SUMS_128)

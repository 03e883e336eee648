// What the machine provides beyond C++: the one part that a processor without a GPU replaces.

#include <cuda_fp16.h>

typedef __half Half;

#define DEVICE static __device__ __forceinline__

DEVICE float to_float(float value) { return value; }
DEVICE float to_float(Half value) { return __half2float(value); }
DEVICE void from_float(float &target, float value) { target = value; }
DEVICE void from_float(Half &target, float value) { target = __float2half_rn(value); }

// The larger and the smaller of two numbers, NaN where one of them is.
DEVICE float maximum(float a, float b) {
  float found;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(found) : "f"(a), "f"(b));
  return found;
}

DEVICE float minimum(float a, float b) {
  float found;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(found) : "f"(a), "f"(b));
  return found;
}

// The block's shared memory, as large as the launch says. Swizzling repeats each 1024 bytes.
DEVICE char *shared_memory() {
  extern __shared__ __align__(1024) char memory[];
  return memory;
}

// The same address, of which the compiler does not know that: what lies there takes no registers.
template <class T> DEVICE T *hidden(T *address) {
  asm volatile("" : "+l"(address)::"memory");
  return address;
}

DEVICE void barrier() { __syncthreads(); }

// A barrier of all threads in a cluster of blocks, and a block's view of another one's memory.
#if __CUDA_ARCH__ >= 900
DEVICE void cluster_barrier() {
  asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
}

DEVICE const float *cluster_shared(const float *own, int rank) {
  unsigned long long found;
  asm("mapa.u64 %0, %1, %2;" : "=l"(found) : "l"((unsigned long long)own), "r"(rank));
  return (const float *)found;
}
#else
DEVICE void cluster_barrier() { __syncthreads(); }
DEVICE const float *cluster_shared(const float *own, int) { return own; }
#endif

DEVICE unsigned shared_address(const void *pointer) {
  return (unsigned)__cvta_generic_to_shared(pointer);
}

// Starts a copy of `bytes` into shared memory, filled up with zeros to 16.
DEVICE void copy_start(void *shared, const void *global, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
               "l"(global), "r"(bytes)
               : "memory");
}

// Closes a group of this thread's copies.
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until all but the latest PENDING groups have arrived.
template <int PENDING> DEVICE void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Four 8x16-byte matrices: lane l gives row l % 8 of matrix l / 8 and gets, of each matrix, bytes
// 4 * (l % 4) to 4 * (l % 4) + 3 of row l / 4 (PTX ISA, ldmatrix).
DEVICE void load_matrices(unsigned (&r)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// d += a * b for a 16x16 times 16x8 (halves) or 16x8 times 8x8 (floats as tf32), fragments as in
// the PTX ISA, mma.m16n8k16 and mma.m16n8k8.
DEVICE void multiply_add(float (&d)[4], const unsigned (&a)[4], const unsigned *b, Half) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
               "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

DEVICE void multiply_add(float (&d)[4], const unsigned (&a)[4], const unsigned *b, float) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
               "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// What a product in tf32 reads of a number: 10 bits of mantissa, rounded to nearest.
DEVICE unsigned round_operand(unsigned bits, float) {
  unsigned rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(bits)));
  return rounded;
}

DEVICE unsigned round_operand(unsigned bits, Half) { return bits; }

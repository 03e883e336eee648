// The functions of the CUDA driver that the target uses, on a processor without a GPU.
//
// Device memory is memory of the host. A module is the path of a library of emulated kernels. A
// stream does its work at once, or records it while it captures.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <string>
#include <vector>

// Runs a kernel; without arguments it only gives their size.
typedef int (*Entry)(const void *arguments, const int *grid, int threads, int shared);
typedef std::vector<std::function<void()>> Graph;

struct Stream {
  Graph *recorded = nullptr;
};

enum { SUCCESS = 0, INVALID = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500 };

static int order(void *handle, std::function<void()> work) {
  Stream *stream = (Stream *)handle;
  if (stream->recorded)
    stream->recorded->push_back(std::move(work));
  else
    work();
  return SUCCESS;
}

static int live = 0;  // Things that were made and not given back.
static double clock_ms = 0;  // What launches have taken: a millisecond for each block.

static int setting(const char *name, int otherwise) {
  const char *text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

extern "C" {

int emulated_live() { return live; }

int cuInit(unsigned) { return SUCCESS; }

int cuDeviceGetCount(int *count) {
  *count = setting("EMULATED_DEVICES", 1);
  return SUCCESS;
}

int cuDeviceGet(int *device, int) {
  *device = 0;
  return SUCCESS;
}

int cuDeviceGetAttribute(int *value, int attribute, int) {
  const int capability = setting("EMULATED_CAPABILITY", 90);
  *value = attribute == 75 ? capability / 10 : capability % 10;
  return SUCCESS;
}

int cuDevicePrimaryCtxRetain(void **context, int) {
  *context = (void *)1;
  return SUCCESS;
}

int cuCtxSetCurrent(void *context) { return context ? SUCCESS : INVALID; }

int cuCtxSynchronize() { return SUCCESS; }

int cuGetErrorString(int status, const char **text) {
  *text = status == NOT_FOUND ? "named symbol not found" : "invalid argument";
  return SUCCESS;
}

int cuMemAlloc_v2(uint64_t *address, size_t size) {
  if (size > (size_t)setting("EMULATED_MEGABYTES", 4096) << 20) return OUT_OF_MEMORY;
  void *memory = std::aligned_alloc(256, (size + 255) / 256 * 256);
  std::memset(memory, 0xff, size);
  ++live;
  *address = (uint64_t)memory;
  return SUCCESS;
}

int cuMemFree_v2(uint64_t address) {
  std::free((void *)address);
  --live;
  return SUCCESS;
}

int cuMemAllocHost_v2(void **address, size_t size) {
  ++live;
  *address = std::aligned_alloc(256, (size + 255) / 256 * 256);
  return SUCCESS;
}

int cuMemFreeHost(void *address) {
  std::free(address);
  --live;
  return SUCCESS;
}

int cuMemsetD8_v2(uint64_t address, unsigned char value, size_t size) {
  std::memset((void *)address, value, size);
  return SUCCESS;
}

int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t size) {
  std::memcpy((void *)to, from, size);
  return SUCCESS;
}

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *stream) {
  return order(stream, [=] { std::memcpy((void *)to, from, size); });
}

int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *stream) {
  return order(stream, [=] { std::memcpy(to, (const void *)from, size); });
}

int cuModuleLoadData(void **module, const void *image) {
  *module = dlopen((const char *)image, RTLD_NOW | RTLD_LOCAL);
  ++live;
  return *module ? SUCCESS : INVALID;
}

int cuModuleGetFunction(void **function, void *module, const char *name) {
  *function = dlsym(module, ("emulate_" + std::string(name)).c_str());
  return *function ? SUCCESS : NOT_FOUND;
}

int cuModuleUnload(void *module) {
  --live;
  return dlclose(module) ? INVALID : SUCCESS;
}

int cuFuncSetAttribute(void *, int attribute, int size) {
  return attribute == 8 && size <= 227 * 1024 ? SUCCESS : INVALID;
}

int cuStreamCreate(void **stream, unsigned) {
  *stream = new Stream();
  ++live;
  return SUCCESS;
}

int cuStreamDestroy_v2(void *stream) {
  delete (Stream *)stream;
  --live;
  return SUCCESS;
}

int cuStreamSynchronize(void *stream) { return ((Stream *)stream)->recorded ? INVALID : SUCCESS; }

int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned threads,
                   unsigned threads_y, unsigned threads_z, unsigned shared, void *stream,
                   void **parameters, void **extra) {
  if (extra || threads_y != 1 || threads_z != 1 || threads > 1024 || y > 65535 || z > 65535)
    return INVALID;
  const int size = ((Entry)function)(nullptr, nullptr, 0, 0);
  const std::vector<char> arguments((char *)parameters[0], (char *)parameters[0] + size);
  return order(stream, [=] {
    const int grid[3] = {(int)x, (int)y, (int)z};
    ((Entry)function)(arguments.data(), grid, (int)threads, (int)shared);
    clock_ms += (double)x * y * z;
  });
}

int cuStreamBeginCapture_v2(void *stream, int) {
  ++live;
  ((Stream *)stream)->recorded = new Graph();
  return SUCCESS;
}

int cuStreamEndCapture(void *stream, void **graph) {
  *graph = ((Stream *)stream)->recorded;
  ((Stream *)stream)->recorded = nullptr;
  return SUCCESS;
}

int cuGraphInstantiateWithFlags(void **executable, void *graph, uint64_t) {
  *executable = new Graph(*(Graph *)graph);
  ++live;
  return SUCCESS;
}

int cuGraphDestroy(void *graph) {
  delete (Graph *)graph;
  --live;
  return SUCCESS;
}

int cuGraphExecDestroy(void *executable) { return cuGraphDestroy(executable); }

int cuGraphLaunch(void *executable, void *stream) {
  for (const auto &work : *(Graph *)executable) order(stream, work);
  return SUCCESS;
}

int cuEventCreate(void **event, unsigned) {
  *event = new double(0);
  ++live;
  return SUCCESS;
}

int cuEventDestroy_v2(void *event) {
  delete (double *)event;
  --live;
  return SUCCESS;
}

int cuEventRecord(void *event, void *) {
  *(double *)event = clock_ms;
  return SUCCESS;
}

int cuEventElapsedTime(float *milliseconds, void *first, void *last) {
  *milliseconds = (float)(*(double *)last - *(double *)first);
  return SUCCESS;
}
}

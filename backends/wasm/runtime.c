/* The runtime of compiled networks in WebAssembly, without a C library: one thread, or, compiled with
   atomic instructions, as many workers as call `run` together in one shared memory.

   The regions of a program lie one behind the other, from the end of the module's own memory on. The
   page makes the memory as large as `bytes` says, and fills in the weights and the inputs. What of
   a shared memory is behind that is for the stacks of the workers. */

#include <runtime.h>

#include <stddef.h>

enum {
    LINE = 64,
    LOOKS = 4000 /* at what another core writes, before one sleeps */
};

extern unsigned char __heap_base;

/* What has no instruction is asked of JavaScript. */
__attribute__((import_module("env"), import_name("powf"))) float env_powf(float x, float y);

float powf(float x, float y);
float powf(float x, float y) { return env_powf(x, y); }

void *memset(void *to, int value, size_t count);
void *memset(void *to, int value, size_t count)
{
    volatile unsigned char *bytes = to;
    for (size_t index = 0; index < count; index++)
        bytes[index] = (unsigned char)value;
    return to;
}

void *memcpy(void *to, const void *from, size_t count);
void *memcpy(void *to, const void *from, size_t count)
{
    volatile unsigned char *bytes = to;
    const unsigned char *given = from;
    for (size_t index = 0; index < count; index++)
        bytes[index] = given[index];
    return to;
}

static uintptr_t aligned(uintptr_t number) { return (number + LINE - 1) / LINE * LINE; }

/* Where a region starts; the number behind the last gives the end of all. */
__attribute__((visibility("default"))) uint32_t region(int32_t number)
{
    uintptr_t place = aligned((uintptr_t)&__heap_base);
    for (int32_t index = 0; index < number; index++)
        place = aligned(place + 4 * (uintptr_t)cnndsl_program.sizes[index]);
    return place;
}

__attribute__((visibility("default"))) uint32_t bytes(void)
{
    return region(cnndsl_program.regions);
}

/* Whether the words of the weights have these sums: plain, and of the words times their number. */
__attribute__((visibility("default"))) int32_t is_whole(uint64_t plain, uint64_t placed)
{
    const uint32_t *words = (const uint32_t *)region(1);
    for (int64_t index = 0; index < cnndsl_program.sizes[1]; index++) {
        plain -= words[index];
        placed -= (uint64_t)(index + 1) * words[index];
    }
    return !plain && !placed;
}

/* All steps, as one of so many cores; it is back when all of them are done. */
__attribute__((visibility("default"))) void run(int32_t core, int32_t cores)
{
    float *regions[REGIONS];
    for (int32_t index = 0; index < REGIONS; index++)
        regions[index] = (float *)region(index);
    for (int32_t index = 0; index < cnndsl_program.steps; index++) {
        cnndsl_program.step[index](regions, core, cores, NULL);
        cnndsl_meet(core, cores, NULL);
    }
}

#ifdef __wasm_atomics__

struct flag {
    _Alignas(LINE) _Atomic uint32_t done; /* phases that a core has done */
};

static struct flag flags[MOST_CORES];
static _Atomic int32_t sleepers;

/* These instructions stand alone: the baseline compiler of V8 11, which is in Node 20, loses what
   local variables hold across a wait. */
__attribute__((noinline)) static void sleep_while(struct flag *flag, uint32_t seen)
{
    __builtin_wasm_memory_atomic_wait32((int *)&flag->done, (int)seen, -1);
}

__attribute__((noinline)) static void wake(struct flag *flag)
{
    __builtin_wasm_memory_atomic_notify((int *)&flag->done, MOST_CORES);
}

/* A core that goes to sleep sees the other's flag, or that one sees that it sleeps. Phases count on
   from run to run, over the largest number too. */
int32_t cnndsl_meet(int32_t core, int32_t cores, void *team)
{
    (void)team;
    uint32_t phase = flags[core].done + 1;
    flags[core].done = phase;
    if (sleepers)
        wake(&flags[core]);
    for (int32_t other = 0; other < cores; other++) {
        uint32_t seen;
        for (int32_t looks = 0; (int32_t)(phase - (seen = flags[other].done)) > 0;)
            if (looks++ >= LOOKS) {
                sleepers++;
                sleep_while(&flags[other], seen);
                sleepers--;
            }
    }
    return 0;
}

#else

int32_t cnndsl_meet(int32_t core, int32_t cores, void *team)
{
    (void)core, (void)cores, (void)team;
    return 0;
}

#endif

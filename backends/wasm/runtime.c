/* The runtime of compiled networks in WebAssembly: one thread, no C library.

   The regions of a program lie one behind the other, from the end of the module's own memory on. The
   page makes the memory as large as `bytes` says, and fills in the weights and the inputs. */

#include "runtime.h"

#include <stddef.h>

enum { LINE = 64, MOST_REGIONS = 256 };

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

__attribute__((visibility("default"))) int32_t run(void)
{
    float *regions[MOST_REGIONS];
    if (cnndsl_program.regions > MOST_REGIONS)
        return 1;
    for (int32_t index = 0; index < cnndsl_program.regions; index++)
        regions[index] = (float *)region(index);
    for (int32_t index = 0; index < cnndsl_program.steps; index++)
        cnndsl_program.step[index](regions, 0, 1, NULL);
    return 0;
}

int32_t cnndsl_meet(int32_t core, int32_t cores, void *team)
{
    (void)core, (void)cores, (void)team;
    return 0;
}

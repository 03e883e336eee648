/* Reading tensors out of the content of a safetensors file. */

#ifndef CNNDSL_SAFETENSORS_H
#define CNNDSL_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

enum { CNNDSL_MOST_AXES = 16 };

/* A tensor that is wanted, and where its numbers are once it is found. */
struct cnndsl_tensor {
    const char *name;
    int32_t rank;
    const int32_t *sizes;
    int may_be_single; /* one number may stand for all */
    int is_single;
    const unsigned char *start;
    double (*read)(const unsigned char *start, size_t index);
};

/* How reading and packing end. */
enum cnndsl_packed {
    CNNDSL_PACKED = 0,
    CNNDSL_NO_MEMORY,
    CNNDSL_NO_SAFETENSORS, /* or damaged */
    CNNDSL_MISSING_TENSOR,
    CNNDSL_WRONG_TENSOR, /* another shape, or numbers that are not F64, F32, F16 or BF16 */
    CNNDSL_NOT_FINITE
};

/* Find all wanted tensors; there may be others. */
enum cnndsl_packed cnndsl_find_tensors(struct cnndsl_tensor *wanted, int32_t count,
                                       const unsigned char *content, size_t bytes);

#endif

/* Packing: from a network's own weights, a safetensors file, to what its kernels read.

   A recipe holds rows, each an array by its shape and what it follows from: see
   cnndsl.weights.evaluate, whose functions these are. `code` is a sequence of whole numbers of 7
   bits in a byte, the lowest first, the last one below 128. Of each row it has

       kind, rank, sizes, count, arguments (how many rows before this one), count, settings

   and for each packed weight its row, the group with which it shares what is computed, its format,
   and its start in words. */

#ifndef CNNDSL_PACK_H
#define CNNDSL_PACK_H

#include "numbers.h"
#include "safetensors.h"

/* The functions, and their settings. */
enum cnndsl_kind {
    CNNDSL_PARAMETER, /* number of its name, 1 if one number may stand for all */
    CNNDSL_CONSTANT,  /* first of its numbers */
    /* Those that move numbers. */
    CNNDSL_RESHAPE,
    CNNDSL_BROADCAST,
    CNNDSL_TRANSPOSE,  /* the argument's axis for each */
    CNNDSL_FLIP,       /* 1 for each axis that is reversed, else 0 */
    CNNDSL_SLICE_AXIS, /* axis, start */
    CNNDSL_CONCAT,     /* axis */
    CNNDSL_PAD,        /* zeros before, for each axis */
    CNNDSL_TAKE,       /* axis, indices */
    CNNDSL_EMBED_TABLE, /* for each filter the first connection behind its own; channels */
    /* Those that compute. Two arguments have the shape of the result. */
    CNNDSL_ADD,
    CNNDSL_SUBTRACT,
    CNNDSL_MULTIPLY,
    CNNDSL_DIVIDE,
    CNNDSL_MAXIMUM,
    CNNDSL_EQUALISER,
    CNNDSL_SQRT,
    CNNDSL_ROUNDED, /* limit */
    CNNDSL_FLOAT32,
    CNNDSL_BFLOAT16,
    CNNDSL_SIGNIFICANT,  /* bits */
    CNNDSL_SUM_AXES,     /* 1 for each axis of the argument that vanishes, else 0 */
    CNNDSL_LARGEST_SIZE, /* the same */
    CNNDSL_EINSUM /* sizes of the axes that are summed up, behind their count; for each axis of the
                     two arguments its number among those of the result and the summed ones */
};

struct cnndsl_recipe {
    int32_t names, rows, weights;
    uint32_t numbers; /* in `code` */
    const char *name; /* of the parameters, one behind the other, each ended by 0 */
    const unsigned char *code;
    const double *constants;
};

/* Pack the weights in the content of a safetensors file into memory that is zero. */
enum cnndsl_packed cnndsl_pack(const struct cnndsl_recipe *recipe, const unsigned char *content,
                               size_t bytes, unsigned char *packed);

#endif

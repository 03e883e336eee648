/* Packing a network's own weights. See pack.h. */

#include <pack.h>

#include <stdlib.h>

enum { MOST_AXES = CNNDSL_MOST_AXES };

struct row {
    int32_t kind, rank;
    const int32_t *sizes, *arguments, *settings;
    int32_t count;   /* of arguments */
    int is_needed;   /* by the group */
    int is_computed; /* though it only moves numbers */
    double *values;  /* if it is computed */
};

struct packer {
    const struct cnndsl_recipe *recipe;
    struct cnndsl_tensor *tensors; /* by the number of their name */
    struct row *rows;
    int32_t *numbers; /* the code's */
    const int32_t *weights;
};

static size_t count_of(const struct row *row)
{
    size_t count = 1;
    for (int32_t axis = 0; axis < row->rank; axis++)
        count *= (size_t)row->sizes[axis];
    return count;
}

static size_t place(const struct row *row, const int32_t *index)
{
    size_t at = 0;
    for (int32_t axis = 0; axis < row->rank; axis++)
        at = at * (size_t)row->sizes[axis] + (size_t)index[axis];
    return at;
}

/* Go to the next index, the last axis fastest; 0 behind the last one. */
static int advance(int32_t *index, const int32_t *sizes, int32_t rank)
{
    for (int32_t axis = rank; axis-- > 0; index[axis] = 0)
        if (++index[axis] < sizes[axis])
            return 1;
    return 0;
}

/* From the place of a connection in a dense weight to that in the table's; 0 if there is none. */
static int find_connection(const struct row *row, int32_t *index)
{
    const int32_t *stops = row->settings, *channels = stops + row->sizes[0];
    int32_t found = -1;
    for (int32_t at = index[0] ? stops[index[0] - 1] : 0; at < stops[index[0]]; at++)
        found = channels[at] == index[1] ? at : found;
    index[0] = found;
    memmove(index + 1, index + 2, (size_t)(row->rank - 2) * sizeof *index);
    return found >= 0;
}

/* The argument from which a row that only moves numbers has one, and its index there; null for a
   zero. */
static const struct row *origin(const struct packer *packer, const struct row *row, int32_t *index)
{
    const int32_t *settings = row->settings;
    const struct row *next = &packer->rows[row->arguments[0]];
    int32_t given[MOST_AXES], axis;
    size_t at;
    switch (row->kind) {
    case CNNDSL_RESHAPE:
        at = place(row, index);
        for (axis = next->rank; axis-- > 0; at /= (size_t)next->sizes[axis])
            index[axis] = (int32_t)(at % (size_t)next->sizes[axis]);
        break;
    case CNNDSL_BROADCAST:
        for (axis = 0; axis < next->rank; axis++)
            index[axis] = next->sizes[axis] == 1 ? 0 : index[axis + row->rank - next->rank];
        break;
    case CNNDSL_TRANSPOSE:
        memcpy(given, index, sizeof given);
        for (axis = 0; axis < row->rank; axis++)
            index[settings[axis]] = given[axis];
        break;
    case CNNDSL_FLIP:
        for (axis = 0; axis < row->rank; axis++)
            if (settings[axis])
                index[axis] = row->sizes[axis] - 1 - index[axis];
        break;
    case CNNDSL_SLICE_AXIS:
        index[settings[0]] += settings[1];
        break;
    case CNNDSL_CONCAT:
        axis = settings[0];
        for (int32_t part = 1; index[axis] >= next->sizes[axis]; part++) {
            index[axis] -= next->sizes[axis];
            next = &packer->rows[row->arguments[part]];
        }
        break;
    case CNNDSL_PAD:
        for (axis = 0; axis < row->rank; axis++) {
            index[axis] -= settings[axis];
            if (index[axis] < 0 || index[axis] >= next->sizes[axis])
                return NULL;
        }
        break;
    case CNNDSL_TAKE:
        index[settings[0]] = settings[1 + index[settings[0]]];
        break;
    case CNNDSL_EMBED_TABLE:
        if (!find_connection(row, index))
            return NULL;
        break;
    }
    return next;
}

/* A number of a row. */
static double at(const struct packer *packer, const struct row *row, const int32_t *start)
{
    int32_t index[MOST_AXES];
    memcpy(index, start, sizeof index);
    while (row && !row->values) {
        if (row->kind == CNNDSL_PARAMETER) {
            const struct cnndsl_tensor *tensor = &packer->tensors[row->settings[0]];
            return tensor->read(tensor->start, tensor->is_single ? 0 : place(row, index));
        }
        if (row->kind == CNNDSL_CONSTANT)
            return packer->recipe->constants[(size_t)row->settings[0] + place(row, index)];
        row = origin(packer, row, index);
    }
    return row ? row->values[place(row, index)] : 0;
}

/* A number of a row of single numbers. */
static double element(const struct packer *packer, const struct row *row, const int32_t *index)
{
    double a = at(packer, &packer->rows[row->arguments[0]], index);
    double b = row->count == 2 ? at(packer, &packer->rows[row->arguments[1]], index) : 0;
    switch (row->kind) {
    case CNNDSL_ADD: return a + b;
    case CNNDSL_SUBTRACT: return a - b;
    case CNNDSL_MULTIPLY: return a * b;
    case CNNDSL_DIVIDE: return a / b;
    case CNNDSL_MAXIMUM: return isnan(a) || a > b ? a : b;
    case CNNDSL_EQUALISER: return equaliser(a, b);
    case CNNDSL_SQRT: return sqrt(a);
    case CNNDSL_ROUNDED: return rounded(a, row->settings[0]);
    case CNNDSL_FLOAT32: return (float)a;
    case CNNDSL_BFLOAT16: return as_bfloat16(a);
    case CNNDSL_SIGNIFICANT: return significant(a, row->settings[0]);
    }
    return a;
}

/* A sum, or a largest size, over some axes of the argument: `start` is the index on the others. */
static double reduced(const struct packer *packer, const struct row *row, const int32_t *start)
{
    const struct row *given = &packer->rows[row->arguments[0]];
    int32_t index[MOST_AXES] = {0}, sizes[MOST_AXES], axes[MOST_AXES], rank = 0, kept = 0;
    int32_t inner[MOST_AXES] = {0};
    double result = 0;
    for (int32_t axis = 0; axis < given->rank; axis++)
        if (row->settings[axis]) {
            axes[rank] = axis;
            sizes[rank++] = given->sizes[axis];
        } else
            index[axis] = start[kept++];
    if (count_of(given) == 0)
        return 0;
    do {
        for (int32_t axis = 0; axis < rank; axis++)
            index[axes[axis]] = inner[axis];
        double number = at(packer, given, index), size = fabs(number);
        if (row->kind == CNNDSL_SUM_AXES)
            result += number;
        else if (isnan(size) || size > result)
            result = size;
    } while (advance(inner, sizes, rank));
    return result;
}

/* Einstein's sum of two computed arguments. */
static void contract(const struct packer *packer, struct row *row)
{
    const struct row *given[2];
    const int32_t *summed = row->settings + 1, *label = summed + row->settings[0];
    size_t steps[2][MOST_AXES] = {{0}};
    int32_t index[MOST_AXES] = {0};
    double *result = row->values;
    for (int which = 0; which < 2; which++) {
        size_t step = 1;
        given[which] = &packer->rows[row->arguments[which]];
        for (int32_t axis = given[which]->rank; axis-- > 0;) {
            steps[which][label[axis]] += step;
            step *= (size_t)given[which]->sizes[axis];
        }
        label += given[which]->rank;
    }
    do {
        int32_t inner[MOST_AXES] = {0};
        size_t start[2] = {0, 0};
        double sum = 0;
        for (int32_t axis = 0; axis < row->rank; axis++)
            for (int which = 0; which < 2; which++)
                start[which] += (size_t)index[axis] * steps[which][axis];
        do {
            size_t a = start[0], b = start[1];
            for (int32_t axis = 0; axis < row->settings[0]; axis++) {
                a += (size_t)inner[axis] * steps[0][row->rank + axis];
                b += (size_t)inner[axis] * steps[1][row->rank + axis];
            }
            sum += given[0]->values[a] * given[1]->values[b];
        } while (advance(inner, summed, row->settings[0]));
        *result++ = sum;
    } while (advance(index, row->sizes, row->rank));
}

/* Compute all numbers of a row; 0 without memory. */
static int compute(const struct packer *packer, struct row *row)
{
    size_t count = count_of(row);
    int32_t index[MOST_AXES] = {0};
    double *values = calloc(count ? count : 1, sizeof *values), *next = values;
    if (!values || !count || row->kind == CNNDSL_EINSUM) {
        row->values = values;
        if (values && count)
            contract(packer, row);
        return values != NULL;
    }
    do {
        if (row->kind < CNNDSL_ADD)
            *next++ = at(packer, row, index);
        else if (row->kind < CNNDSL_SUM_AXES)
            *next++ = element(packer, row, index);
        else
            *next++ = reduced(packer, row, index);
    } while (advance(index, row->sizes, row->rank));
    row->values = values;
    return 1;
}

/* Weights. */

enum { ROW, GROUP, FORMAT, START, FIELDS };

static enum cnndsl_packed write(const struct packer *packer, const int32_t *weight,
                                unsigned char *packed)
{
    const struct row *row = &packer->rows[weight[ROW]];
    unsigned char *target = packed + 4 * (size_t)weight[START];
    int32_t index[MOST_AXES] = {0};
    if (!count_of(row))
        return CNNDSL_PACKED;
    do {
        double number = at(packer, row, index);
        target = write_number(&number, weight[FORMAT], target);
        if (!isfinite(number))
            return CNNDSL_NOT_FINITE;
    } while (advance(index, row->sizes, row->rank));
    return CNNDSL_PACKED;
}

/* Tell which rows the weights from `first` up to `last` need. */
static void mark(struct packer *packer, int32_t first, int32_t last)
{
    for (int32_t number = first; number < last; number++)
        packer->rows[packer->weights[FIELDS * number + ROW]].is_needed = 1;
    for (int32_t number = packer->recipe->rows; number-- > 0;) {
        struct row *row = &packer->rows[number];
        for (int32_t index = 0; row->is_needed && index < row->count; index++) {
            struct row *argument = &packer->rows[row->arguments[index]];
            argument->is_needed = 1;
            argument->is_computed |= row->kind == CNNDSL_EINSUM;
        }
    }
}

static void forget(struct packer *packer)
{
    for (int32_t number = 0; number < packer->recipe->rows; number++) {
        struct row *row = &packer->rows[number];
        free(row->values);
        row->values = NULL;
        row->is_needed = row->is_computed = 0;
    }
}

/* Pack the weights of a group, from `first` up to `last`. */
static enum cnndsl_packed pack_group(struct packer *packer, int32_t first, int32_t last,
                                     unsigned char *packed)
{
    enum cnndsl_packed status = CNNDSL_PACKED;
    mark(packer, first, last);
    for (int32_t number = 0; number < packer->recipe->rows && !status; number++) {
        struct row *row = &packer->rows[number];
        if (row->is_needed && (row->is_computed || row->kind >= CNNDSL_ADD))
            status = compute(packer, row) ? CNNDSL_PACKED : CNNDSL_NO_MEMORY;
    }
    for (int32_t number = first; number < last && !status; number++)
        status = write(packer, packer->weights + FIELDS * number, packed);
    forget(packer);
    return status;
}

static enum cnndsl_packed pack_groups(struct packer *packer, unsigned char *packed)
{
    const int32_t *weights = packer->weights;
    enum cnndsl_packed status = CNNDSL_PACKED;
    for (int32_t first = 0, last; first < packer->recipe->weights && !status; first = last) {
        for (last = first; last < packer->recipe->weights
                           && weights[FIELDS * last + GROUP] == weights[FIELDS * first + GROUP];)
            last++;
        status = pack_group(packer, first, last, packed);
    }
    return status;
}

/* Read the code of the recipe. */
static void read_code(struct packer *packer)
{
    const unsigned char *code = packer->recipe->code;
    for (uint32_t index = 0; index < packer->recipe->numbers; index++) {
        uint32_t number = 0;
        for (int shift = 0, more = 1; more; shift += 7, code++) {
            number |= (uint32_t)(*code & 127) << shift;
            more = *code & 128;
        }
        packer->numbers[index] = (int32_t)number;
    }
    int32_t *next = packer->numbers;
    for (int32_t number = 0; number < packer->recipe->rows; number++) {
        struct row *row = &packer->rows[number];
        row->kind = *next++;
        row->rank = *next++;
        row->sizes = next;
        next += row->rank;
        row->count = *next++;
        row->arguments = next;
        for (int32_t index = 0; index < row->count; index++, next++)
            *next = number - *next;
        row->settings = next + 1;
        next += 1 + *next;
    }
    packer->weights = next;
}

/* Find the numbers of all parameters. */
static enum cnndsl_packed find(struct packer *packer, const unsigned char *content, size_t bytes)
{
    const char *name = packer->recipe->name;
    for (int32_t index = 0; index < packer->recipe->names; index++) {
        packer->tensors[index].name = name;
        name += strlen(name) + 1;
    }
    for (int32_t number = 0; number < packer->recipe->rows; number++) {
        const struct row *row = &packer->rows[number];
        if (row->kind == CNNDSL_PARAMETER) {
            struct cnndsl_tensor *tensor = &packer->tensors[row->settings[0]];
            tensor->rank = row->rank;
            tensor->sizes = row->sizes;
            tensor->may_be_single = row->settings[1];
        }
    }
    return cnndsl_find_tensors(packer->tensors, packer->recipe->names, content, bytes);
}

enum cnndsl_packed cnndsl_pack(const struct cnndsl_recipe *recipe, const unsigned char *content,
                               size_t bytes, unsigned char *packed)
{
    enum cnndsl_packed status = CNNDSL_NO_MEMORY;
    struct packer packer = {recipe, NULL, NULL, NULL, NULL};
    packer.tensors = calloc((size_t)recipe->names + 1, sizeof *packer.tensors);
    packer.rows = calloc((size_t)recipe->rows + 1, sizeof *packer.rows);
    packer.numbers = calloc((size_t)recipe->numbers + 1, sizeof *packer.numbers);
    if (packer.tensors && packer.rows && packer.numbers) {
        read_code(&packer);
        status = find(&packer, content, bytes);
        if (!status)
            status = pack_groups(&packer, packed);
    }
    free(packer.tensors);
    free(packer.rows);
    free(packer.numbers);
    return status;
}

/* Reading tensors out of the content of a safetensors file: the length of a header in 8 bytes, the
   header in JSON, the numbers. */

#include <numbers.h>
#include <safetensors.h>

static double read_f64(const unsigned char *start, size_t index)
{
    double number;
    memcpy(&number, start + 8 * index, sizeof number);
    return (float)number;
}

static double read_f32(const unsigned char *start, size_t index)
{
    float number;
    memcpy(&number, start + 4 * index, sizeof number);
    return number;
}

static double read_f16(const unsigned char *start, size_t index)
{
    return from_float16(start[2 * index] | (uint32_t)start[2 * index + 1] << 8);
}

static double read_bf16(const unsigned char *start, size_t index)
{
    return from_float32((uint32_t)start[2 * index] << 16 | (uint32_t)start[2 * index + 1] << 24);
}

static const struct format {
    const char *name;
    size_t bytes;
    double (*read)(const unsigned char *start, size_t index);
} formats[] = {
    {"F64", 8, read_f64}, {"F32", 4, read_f32}, {"F16", 2, read_f16}, {"BF16", 2, read_bf16}};

struct text {
    const char *at, *end;
};

static void skip_spaces(struct text *text)
{
    while (text->at < text->end && memchr(" \t\r\n", *text->at, 4))
        text->at++;
}

static int take(struct text *text, char wanted)
{
    skip_spaces(text);
    if (text->at == text->end || *text->at != wanted)
        return 0;
    text->at++;
    return 1;
}

/* A string as it is written, with its escapes. */
static int take_string(struct text *text, struct text *found)
{
    if (!take(text, '"'))
        return 0;
    found->at = text->at;
    while (text->at < text->end && *text->at != '"')
        text->at += *text->at == '\\' && text->at + 1 < text->end ? 2 : 1;
    found->end = text->at;
    return take(text, '"');
}

static int is_word(const struct text *text, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(text->end - text->at) == length && !memcmp(text->at, word, length);
}

/* [whole numbers], `most` at most; gives their count, or -1. */
static int32_t take_numbers(struct text *text, uint64_t *numbers, int32_t most)
{
    int32_t count = 0;
    if (!take(text, '['))
        return -1;
    if (take(text, ']'))
        return 0;
    do {
        uint64_t number = 0;
        skip_spaces(text);
        const char *start = text->at;
        for (; text->at < text->end && *text->at >= '0' && *text->at <= '9'; text->at++)
            number = 10 * number + (uint64_t)(*text->at - '0');
        if (text->at == start || text->at - start > 18 || count == most)
            return -1;
        numbers[count++] = number;
    } while (take(text, ','));
    return take(text, ']') ? count : -1;
}

/* {"name": "text", ...}, as the metadata are. */
static int skip_texts(struct text *text)
{
    struct text word;
    if (!take(text, '{'))
        return 0;
    if (take(text, '}'))
        return 1;
    do
        if (!take_string(text, &word) || !take(text, ':') || !take_string(text, &word))
            return 0;
    while (take(text, ','));
    return take(text, '}');
}

/* What the header says of a tensor. */
struct entry {
    struct text format;
    int32_t rank;
    uint64_t sizes[CNNDSL_MOST_AXES], span[2];
};

static int take_entry(struct text *text, struct entry *entry)
{
    int seen = 0;
    struct text key;
    if (!take(text, '{'))
        return 0;
    do {
        if (!take_string(text, &key) || !take(text, ':'))
            return 0;
        if (is_word(&key, "dtype") && take_string(text, &entry->format))
            seen |= 1;
        else if (is_word(&key, "shape")
                 && (entry->rank = take_numbers(text, entry->sizes, CNNDSL_MOST_AXES)) >= 0)
            seen |= 2;
        else if (is_word(&key, "data_offsets") && take_numbers(text, entry->span, 2) == 2)
            seen |= 4;
        else
            return 0;
    } while (take(text, ','));
    return seen == 7 && take(text, '}');
}

/* Take the numbers of a tensor from the `bytes` behind the header. */
static enum cnndsl_packed take_tensor(struct cnndsl_tensor *wanted, const struct entry *entry,
                                      const unsigned char *data, size_t bytes)
{
    size_t count = 1;
    wanted->is_single = wanted->may_be_single && entry->rank == 1 && entry->sizes[0] == 1;
    if (!wanted->is_single && wanted->rank != entry->rank)
        return CNNDSL_WRONG_TENSOR;
    for (int32_t axis = 0; axis < wanted->rank && !wanted->is_single; axis++) {
        if ((uint64_t)wanted->sizes[axis] != entry->sizes[axis])
            return CNNDSL_WRONG_TENSOR;
        count *= (size_t)wanted->sizes[axis];
    }
    for (size_t index = 0; index < sizeof formats / sizeof *formats; index++)
        if (is_word(&entry->format, formats[index].name)) {
            uint64_t first = entry->span[0], last = entry->span[1];
            if (first > last || last > bytes || last - first != formats[index].bytes * count
                || wanted->start)
                return CNNDSL_NO_SAFETENSORS;
            wanted->start = data + first;
            wanted->read = formats[index].read;
            return CNNDSL_PACKED;
        }
    return CNNDSL_WRONG_TENSOR;
}

enum cnndsl_packed cnndsl_find_tensors(struct cnndsl_tensor *wanted, int32_t count,
                                       const unsigned char *content, size_t bytes)
{
    uint64_t length = 0;
    struct text text, name;
    for (int index = 0; bytes >= 8 && index < 8; index++)
        length |= (uint64_t)content[index] << 8 * index;
    if (bytes < 8 || length > bytes - 8)
        return CNNDSL_NO_SAFETENSORS;
    const unsigned char *data = content + 8 + length;
    text.at = (const char *)content + 8;
    text.end = (const char *)data;
    if (!take(&text, '{'))
        return CNNDSL_NO_SAFETENSORS;
    for (int is_first = 1; !take(&text, '}'); is_first = 0) {
        struct entry entry;
        int32_t index = 0;
        if ((!is_first && !take(&text, ',')) || !take_string(&text, &name) || !take(&text, ':'))
            return CNNDSL_NO_SAFETENSORS;
        if (is_word(&name, "__metadata__") ? !skip_texts(&text) : !take_entry(&text, &entry))
            return CNNDSL_NO_SAFETENSORS;
        while (index < count && !is_word(&name, wanted[index].name))
            index++;
        enum cnndsl_packed status = CNNDSL_PACKED;
        if (index < count && !is_word(&name, "__metadata__"))
            status = take_tensor(&wanted[index], &entry, data, bytes - 8 - (size_t)length);
        if (status)
            return status;
    }
    skip_spaces(&text);
    if (text.at != text.end)
        return CNNDSL_NO_SAFETENSORS;
    for (int32_t index = 0; index < count; index++)
        if (!wanted[index].start)
            return CNNDSL_MISSING_TENSOR;
    return CNNDSL_PACKED;
}

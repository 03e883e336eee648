/* What AMX's instructions do, by the pseudocode of Intel's Software Developer's Manual, volume 2.
   What would fault ends the process. Each thread has tiles of its own. */

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TILES = 8, MOST_ROWS = 16, MOST_BYTES = 64 };

struct tile {
    int rows, bytes;
    uint8_t row[MOST_ROWS][MOST_BYTES];
};

static _Thread_local struct {
    int palette;
    struct tile tile[TILES];
} state;

#define PUBLIC __attribute__((visibility("default")))

PUBLIC atomic_int emulated_held;     /* threads whose tiles are configured */
PUBLIC atomic_int emulated_products;

static void require(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "a fault: %s\n", what);
    abort();
}

static struct tile *known(int number)
{
    require(state.palette == 1, "tiles that are not configured");
    require(number < TILES && state.tile[number].rows, "a tile without rows");
    return &state.tile[number];
}

PUBLIC int32_t emulated_tilerelease(void)
{
    emulated_held -= state.palette;
    memset(&state, 0, sizeof state);
    return 0;
}

PUBLIC int32_t emulated_ldtilecfg(const uint8_t *given)
{
    emulated_tilerelease();
    require(given[0] == 1 && !given[1], "palette or first row");
    state.palette = 1;
    emulated_held++;
    for (int byte = 2; byte < 16; byte++)
        require(!given[byte], "reserved bytes");
    for (int number = 0; number < 16; number++) {
        int bytes = given[16 + 2 * number] + 256 * given[17 + 2 * number];
        int rows = given[48 + number];
        require(number < TILES || (!bytes && !rows), "tiles from the ninth on");
        require(!bytes == !rows && bytes <= MOST_BYTES && rows <= MOST_ROWS, "sizes");
        if (number < TILES)
            state.tile[number].rows = rows, state.tile[number].bytes = bytes;
    }
    return 0;
}

PUBLIC int32_t emulated_tilezero(int32_t number)
{
    struct tile *tile = known(number);
    memset(tile->row, 0, sizeof tile->row);
    return 0;
}

PUBLIC int32_t emulated_tileloadd64(int32_t number, const uint8_t *from, int64_t stride)
{
    struct tile *tile = known(number);
    memset(tile->row, 0, sizeof tile->row);
    for (int row = 0; row < tile->rows; row++)
        memcpy(tile->row[row], from + row * stride, (size_t)tile->bytes);
    return 0;
}

PUBLIC int32_t emulated_tilestored64(int32_t number, uint8_t *to, int64_t stride)
{
    const struct tile *tile = known(number);
    for (int row = 0; row < tile->rows; row++)
        memcpy(to + row * stride, tile->row[row], (size_t)tile->bytes);
    return 0;
}

static void require_product(const struct tile *total, const struct tile *a, const struct tile *b)
{
    emulated_products++;
    require(total != a && total != b && a != b, "a tile twice");
    require(a->bytes % 4 == 0 && b->bytes % 4 == 0 && total->bytes % 4 == 0, "parts of words");
    require(a->rows == total->rows, "rows of the sums");
    require(b->bytes == total->bytes, "columns of the sums");
    require(a->bytes / 4 == b->rows, "words");
}

PUBLIC int32_t emulated_tdpbusd(int32_t total, int32_t first, int32_t second)
{
    struct tile *sums = known(total), *a = known(first), *b = known(second);
    require_product(sums, a, b);
    for (int m = 0; m < sums->rows; m++)
        for (int k = 0; k < b->rows; k++)
            for (int n = 0; n < sums->bytes / 4; n++) {
                int32_t sum;
                memcpy(&sum, &sums->row[m][4 * n], 4);
                for (int byte = 0; byte < 4; byte++)
                    sum += a->row[m][4 * k + byte] * (int8_t)b->row[k][4 * n + byte];
                memcpy(&sums->row[m][4 * n], &sum, 4);
            }
    return 0;
}

/* Numbers below 2^-126 count as zero. */
static float flushed(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits = bits & 0x7f800000 ? bits : bits & 0x80000000;
    memcpy(&x, &bits, 4);
    return x;
}

static float widened(const uint8_t *from)
{
    uint32_t bits = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 24;
    float x;
    memcpy(&x, &bits, 4);
    return flushed(x);
}

PUBLIC int32_t emulated_tdpbf16ps(int32_t total, int32_t first, int32_t second)
{
    struct tile *sums = known(total), *a = known(first), *b = known(second);
    require_product(sums, a, b);
    for (int m = 0; m < sums->rows; m++)
        for (int n = 0; n < sums->bytes / 4; n++) {
            float half[2] = {0, 0}, sum;
            for (int k = 0; k < b->rows; k++)
                for (int h = 0; h < 2; h++) {
                    float x = widened(&a->row[m][4 * k + 2 * h]);
                    half[h] = flushed(half[h] + x * widened(&b->row[k][4 * n + 2 * h]));
                }
            memcpy(&sum, &sums->row[m][4 * n], 4);
            sum = flushed(flushed(sum) + flushed(half[0] + half[1]));
            memcpy(&sums->row[m][4 * n], &sum, 4);
        }
    return 0;
}

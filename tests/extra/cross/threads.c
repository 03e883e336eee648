/* 1,000 calls from 8 threads: threads WEIGHTS OWN. Each has an instance, and an arena for that of
   all; instances come and go. All calls have to give the same, and so have those with the network's
   own weights, in the file OWN, up to the order of sums. Of that every damage is tried. */

#include "small.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, CALLS = 125, PIXELS = 360, CLASSES = 7 };

static const char *path;
static small_instance *common;
static float image[PIXELS], expected[CLASSES];

static void require(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static void *work(void *argument)
{
    size_t bytes = (small_arena_bytes() + 63) / 64 * 64;
    void *arena = aligned_alloc(SMALL_ALIGNMENT, bytes ? bytes : 64);
    small_instance *own = NULL;
    (void)argument;
    for (int call = 0; call < CALLS; call++) {
        float scores[CLASSES];
        const float *inputs[] = {image};
        float *outputs[] = {scores};
        if (call % 25 == 0) {
            small_destroy(own);
            require(!small_create(&own, path), "create");
        }
        require(!small_set_threads(own, 1 + call % 3), "threads");
        small_status status = call % 2 ? small_run(common, inputs, outputs, arena)
                                       : small_run(own, inputs, outputs, NULL);
        require(!status, small_status_text(status));
        require(!memcmp(scores, expected, sizeof scores), "another result");
    }
    small_destroy(own);
    free(arena);
    return NULL;
}

/* Memory of that size alone, with the beginning of a file. */
static unsigned char *read_file(const char *name, size_t *bytes)
{
    FILE *file = fopen(name, "rb");
    require(file && !fseek(file, 0, SEEK_END), "own weights");
    *bytes = (size_t)ftell(file);
    rewind(file);
    unsigned char *content = malloc(*bytes);
    require(content && fread(content, 1, *bytes, file) == *bytes, "own weights");
    fclose(file);
    return content;
}

static void damage(const unsigned char *content, size_t bytes)
{
    size_t header = 8 + (content[0] | (size_t)content[1] << 8);
    for (size_t length = 0; length < bytes; length += length < header ? 1 : 997) {
        unsigned char *part = malloc(length ? length : 1);
        memcpy(part, content, length);
        require(small_set_weights_from_memory(common, part, length), "a part passes for all");
        free(part);
    }
    unsigned char *whole = malloc(bytes);
    for (size_t place = 0; place < header; place++) {
        memcpy(whole, content, bytes);
        whole[place] ^= 1 << place % 8;
        small_set_weights_from_memory(common, whole, bytes);
    }
    free(whole);
}

static void use_own_weights(const char *name)
{
    size_t bytes;
    unsigned char *content = read_file(name, &bytes);
    float scores[CLASSES];
    const float *inputs[] = {image};
    float *outputs[] = {scores};
    damage(content, bytes);
    require(!small_set_weights_from_memory(common, content, bytes), "own weights");
    free(content);
    require(!small_run(common, inputs, outputs, NULL), "run");
    for (int index = 0; index < CLASSES; index++)
        require(fabsf(scores[index] - expected[index]) < 1e-5f, "another result");
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    const float *inputs[] = {image};
    float *outputs[] = {expected};
    require(argc == 3, "threads WEIGHTS OWN");
    path = argv[1];
    for (int index = 0; index < PIXELS; index++)
        image[index] = (float)(index % 17) / 8 - 1;
    require(!small_create(&common, path), "create");
    require(!small_run(common, inputs, outputs, NULL), "run");
    for (int index = 0; index < THREADS; index++)
        require(!pthread_create(&threads[index], NULL, work, NULL), "thread");
    for (int index = 0; index < THREADS; index++)
        pthread_join(threads[index], NULL);
    use_own_weights(argv[2]);
    small_destroy(common);
    for (int round = 0; round < 1000; round++) {
        require(!small_create(&common, path), "create");
        small_destroy(common);
    }
    return 0;
}

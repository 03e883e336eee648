/* 1,000 calls from 8 threads: threads WEIGHTS. Each has an instance, and an arena for that of all;
   instances come and go. All calls have to give the same. */

#include "small.h"

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

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    const float *inputs[] = {image};
    float *outputs[] = {expected};
    require(argc == 2, "threads WEIGHTS");
    path = argv[1];
    for (int index = 0; index < PIXELS; index++)
        image[index] = (float)(index % 17) / 8 - 1;
    require(!small_create(&common, path), "create");
    require(!small_run(common, inputs, outputs, NULL), "run");
    for (int index = 0; index < THREADS; index++)
        require(!pthread_create(&threads[index], NULL, work, NULL), "thread");
    for (int index = 0; index < THREADS; index++)
        pthread_join(threads[index], NULL);
    small_destroy(common);
    for (int round = 0; round < 1000; round++) {
        require(!small_create(&common, path), "create");
        small_destroy(common);
    }
    return 0;
}

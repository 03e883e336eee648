/* Callers that come and go, and children that are forked in their midst, on the runtime alone.
   Exits with 0 if all results are right. Arguments: callers, calls of each, forks.

   Nothing is allocated: AddressSanitizer's allocator may be locked for ever in a child. In a child
   ThreadSanitizer takes no new threads. */

#include "runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
enum { THREADS_OF_CHILD = 1 };
#else
enum { THREADS_OF_CHILD = 0 };
#endif

enum { SIZE = 1024, STEPS = 40 };

static int calls;

/* Each core adds 1 to its part of the input's copy; one that runs ahead would see an odd number. */
static void add(float *const *regions, int32_t core, int32_t cores, void *team)
{
    int first = SIZE * core / cores, last = SIZE * (core + 1) / cores;
    for (int index = first; index < last; index++)
        regions[0][index] += 1;
    cnndsl_meet(core, cores, team);
    for (int index = first; index < last; index++)
        regions[2][index] = regions[0][SIZE - 1 - index] + regions[1][index];
}

static cnndsl_step *const STEP[STEPS] = {
    add, add, add, add, add, add, add, add, add, add, add, add, add, add, add, add, add, add, add, add,
    add, add, add, add, add, add, add, add, add, add, add, add, add, add, add, add, add, add, add, add,
};
static const int64_t SIZES[] = {SIZE, SIZE, SIZE};

const struct cnndsl_program cnndsl_program = {
    .abi = CNNDSL_ABI, .inputs = 0, .regions = 3, .steps = STEPS,
    .sizes = SIZES, .features = "", .step = STEP,
};

static int is_wrong(int threads)
{
    static float weights[SIZE] __attribute__((aligned(64)));
    float arena[SIZE] __attribute__((aligned(64))), output[SIZE];
    float *regions[] = {arena, weights, output};
    int wrong = 0;
    for (int index = 0; index < SIZE; index++)
        arena[index] = (float)index;
    cnndsl_run(&cnndsl_program, regions, threads, 0, STEPS);
    for (int index = 0; index < SIZE; index++)
        wrong += output[index] != (float)(SIZE - 1 - index + STEPS);
    return wrong;
}

static void *caller(void *number)
{
    long wrong = 0;
    for (int call = 0; call < calls; call++)
        wrong += is_wrong((int)(long)number % 4);
    return (void *)wrong;
}

static long callers(int number)
{
    pthread_t threads[64];
    void *found;
    long wrong = 0;
    for (long index = 0; index < number; index++)
        pthread_create(&threads[index], NULL, caller, (void *)index);
    for (int index = 0; index < number; index++) {
        pthread_join(threads[index], &found);
        wrong += (long)found;
    }
    return wrong;
}

static void *forker(void *number)
{
    long wrong = 0;
    for (long index = 0; index < (long)number; index++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            int found = is_wrong(THREADS_OF_CHILD) || is_wrong(1);
            cnndsl_stop();
            _exit(found);
        }
        wrong += waitpid(child, &status, 0) != child || status != 0;
    }
    return (void *)wrong;
}

int main(int count, char **arguments)
{
    int number = count > 3 ? atoi(arguments[1]) : 8;
    pthread_t thread;
    void *found;
    calls = count > 3 ? atoi(arguments[2]) : 100;
    if (number > 64)
        return 2;
    pthread_create(&thread, NULL, forker, (void *)(count > 3 ? atol(arguments[3]) : 10));
    long wrong = callers(number);
    pthread_join(thread, &found);
    wrong += (long)found;
    cnndsl_stop();
    wrong += is_wrong(0);
    cnndsl_stop();
    printf("%ld wrong\n", wrong);
    return wrong != 0;
}

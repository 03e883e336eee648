/* What a compiled network is to its runtime, and how it is run. See runtime.c. */

#ifndef CNNDSL_RUNTIME_H
#define CNNDSL_RUNTIME_H

#include <stdint.h>

#define CNNDSL_ABI 1 /* Counts changes of what is declared here. */
#ifndef CNNDSL_PUBLIC
#define CNNDSL_PUBLIC __attribute__((visibility("default")))
#endif

/* One step, computed by all cores of a team together: each calls it with its number. `regions` are
   blocks of floats; `team` is for cnndsl_meet alone. */
typedef void cnndsl_step(float *const *regions, int32_t core, int32_t cores, void *team);

/* A network. Its regions are the arena, the weights, the inputs and the outputs, in this order; the
   first two have to start at a multiple of 64 bytes. */
struct cnndsl_program {
    int32_t abi;
    int32_t inputs;
    int32_t regions;
    int32_t steps;
    const int64_t *sizes;      /* floats of each region */
    const char *features;      /* of the CPU: LLVM's names, with commas in between */
    cnndsl_step *const *step;
};

/* The one that the library holds. */
extern CNNDSL_PUBLIC const struct cnndsl_program cnndsl_program;

/* Ask the operating system for what the code of a program uses and is not given unasked: the tiles
   of Intel's AMX. To be called before the first run; 0, or the error as in errno. */
CNNDSL_PUBLIC int32_t cnndsl_permit(const struct cnndsl_program *program);

/* Run the steps from `first` up to, not including, `last` on at most `threads` cores, or on as many
   as there are if that is 0. The regions belong to the call until it returns. */
CNNDSL_PUBLIC void cnndsl_run(const struct cnndsl_program *program, float *const *regions,
                              int32_t threads, int32_t first, int32_t last);

/* End all workers. No call may run; the next one makes new workers. To be called before the library
   is unloaded. */
CNNDSL_PUBLIC void cnndsl_stop(void);

/* For users that come and go: workers end when all that hold the runtime have released it. */
CNNDSL_PUBLIC void cnndsl_hold(void);
CNNDSL_PUBLIC void cnndsl_release(void);

/* A number above 0 that is another one in a child process than in its parent, once a call has been
   made: what a call holds is free in the child. */
int32_t cnndsl_process(void);

/* For kernels: this core has done its part; wait until all cores of the team have. */
int32_t cnndsl_meet(int32_t core, int32_t cores, void *team);

#endif

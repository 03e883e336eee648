/* The runtime of compiled networks: the cores of this process, which all calls share.

   A call asks for cores and waits in a queue until some are free. It gets as many as it wants, but
   leaves as many to each call behind it; the calling thread is one of them, workers are the others.
   Together they go through all steps and meet after each. Where others wait, a call that has had
   its cores for a while goes to the end of the queue. There are never more threads at work than
   cores. Where other processes want the cores too, threads that wait for one another sleep.

   A worker without work looks for some during CNNDSL_SPIN microseconds, then sleeps.
   CNNDSL_AFFINITY, say `1-3,8`, names the CPUs that the workers are bound to, in their order.

   All memory is static, or on the stack of the calling thread. A child process that was forked
   starts with no workers and no calls. */

#define _GNU_SOURCE

#include <runtime.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

enum {
    LINE = 64,          /* bytes that belong to one core at a time */
    MOST_CORES = 256,
    LOOKS = 200,        /* at what another core writes, before one lets other threads run */
    CROWDED = 20,       /* microseconds that this takes if there are others */
    SPIN = 500,         /* microseconds, unless CNNDSL_SPIN is set */
    TURN = 2000         /* microseconds that a call keeps its cores while others wait */
};

struct flag {
    _Alignas(LINE) atomic_int done; /* phases that a core has done */
};

struct call {
    struct flag flags[MOST_CORES]; /* one for each core of its team */
    const struct cnndsl_program *program;
    float *const *regions;
    int first, last;
    int wanted;
    int cores;            /* that it has; 0 while it waits */
    int64_t since;        /* when it got them */
    atomic_int end;       /* the step before which all cores stop */
    struct worker *team[MOST_CORES];
    struct call *next;    /* in the queue */
    pthread_cond_t granted; /* with the pool's lock */
    atomic_int sleepers;  /* cores of the team that wait for `met` */
    pthread_mutex_t lock;
    pthread_cond_t met;
};

struct worker {
    _Alignas(LINE) _Atomic(struct call *) call; /* to run; null if there is none */
    atomic_int sleeps;
    int core;             /* its number in the call's team */
    int busy;             /* belongs to a call; under the pool's lock */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
};

static struct {
    pthread_mutex_t lock;
    int cores, free;
    int spin;
    int started;          /* workers */
    int users;            /* that hold the runtime */
    int32_t process;      /* forks between the first process and this one */
    atomic_int waiting;   /* calls */
    struct call *head, *tail;
    struct worker workers[MOST_CORES];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char quit; /* where a worker that is to end is sent */

static void rest(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ volatile("yield");
#endif
}

static int64_t microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Let other threads run; whether that took long, because there are more than cores for them. */
static int is_crowded(void)
{
    int64_t before = microseconds();
    sched_yield();
    return microseconds() - before > CROWDED;
}

static void sleep_until(struct call *call, struct flag *flag, int phase)
{
    pthread_mutex_lock(&call->lock);
    atomic_fetch_add(&call->sleepers, 1);
    while (atomic_load(&flag->done) < phase)
        pthread_cond_wait(&call->met, &call->lock);
    atomic_fetch_sub(&call->sleepers, 1);
    pthread_mutex_unlock(&call->lock);
}

/* A core that goes to sleep sees the other's flag, or that one sees that it sleeps. */
int32_t cnndsl_meet(int32_t core, int32_t cores, void *team)
{
    struct call *call = team;
    int phase = atomic_load_explicit(&call->flags[core].done, memory_order_relaxed) + 1;
    atomic_store(&call->flags[core].done, phase);
    if (atomic_load(&call->sleepers)) {
        pthread_mutex_lock(&call->lock);
        pthread_cond_broadcast(&call->met);
        pthread_mutex_unlock(&call->lock);
    }
    for (int other = 0; other < cores; other++) {
        struct flag *flag = &call->flags[other];
        for (int looks = 0; atomic_load_explicit(&flag->done, memory_order_acquire) < phase;)
            if (looks++ < LOOKS)
                rest();
            else if (is_crowded())
                sleep_until(call, flag, phase);
    }
    return 0;
}

/* A core's part of a turn. Core 0 says before a meeting when the turn is over, and the others read
   it behind the meeting. One that is late may read already what holds for the next meeting; it will
   read the same again there, so all meet as often and stop at the same step. */
static void take_part(struct call *call, int core)
{
    int cores = call->cores;
    for (int step = call->first, end = call->last; step < end;) {
        call->program->step[step++](call->regions, core, cores, call);
        if (core == 0 && step < end && atomic_load_explicit(&pool.waiting, memory_order_relaxed)
            && microseconds() - call->since > TURN)
            atomic_store_explicit(&call->end, step, memory_order_relaxed);
        cnndsl_meet(core, cores, call);
        end = atomic_load_explicit(&call->end, memory_order_relaxed);
    }
}

static struct call *next_call(struct worker *self)
{
    struct call *call;
    int64_t end = microseconds() + pool.spin;
    do
        for (int looks = 0; looks < LOOKS; looks++) {
            call = atomic_load_explicit(&self->call, memory_order_acquire);
            if (call)
                return call;
            rest();
        }
    while (!is_crowded() && microseconds() < end);
    pthread_mutex_lock(&self->lock);
    atomic_store(&self->sleeps, 1);
    while (!(call = atomic_load(&self->call)))
        pthread_cond_wait(&self->wake, &self->lock);
    atomic_store(&self->sleeps, 0);
    pthread_mutex_unlock(&self->lock);
    return call;
}

/* Either the worker sees the call before it sleeps, or this sees that it sleeps. */
static void give(struct worker *worker, struct call *call)
{
    atomic_store(&worker->call, call);
    if (!atomic_load(&worker->sleeps))
        return;
    pthread_mutex_lock(&worker->lock);
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
}

static void *work(void *argument)
{
    struct worker *self = argument;
    struct call *call;
    while ((call = next_call(self)) != (struct call *)&quit) {
        take_part(call, self->core);
        atomic_store_explicit(&self->call, NULL, memory_order_release);
    }
    return NULL;
}

/* The CPU of a worker by CNNDSL_AFFINITY, or -1. */
static int cpu_of(int worker)
{
    const char *text = getenv("CNNDSL_AFFINITY");
    while (text && *text) {
        char *end;
        long first = strtol(text, &end, 10), last = first;
        if (end == text || first < 0)
            return -1;
        if (*end == '-')
            last = strtol(end + 1, &end, 10);
        if (worker <= last - first)
            return (int)first + worker;
        worker -= (int)(last - first + 1);
        text = *end == ',' ? end + 1 : "";
    }
    return -1;
}

static void bind_worker(const struct worker *worker, int cpu)
{
#ifdef __linux__
    cpu_set_t set;
    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_setaffinity_np(worker->thread, sizeof set, &set);
#else
    (void)worker, (void)cpu;
#endif
}

/* Signals are for the threads of the program. */
static int start_worker(struct worker *worker)
{
    sigset_t all, before;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->wake, NULL);
    atomic_init(&worker->call, NULL);
    atomic_init(&worker->sleeps, 0);
    worker->busy = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        bind_worker(worker, cpu_of((int)(worker - pool.workers)));
    return failed;
}

/* The next worker, in a fixed order, that no call has; null if the operating system gives no more
   threads. `index` is where to look. Under the pool's lock. */
static struct worker *free_worker(int *index)
{
    while (*index < MOST_CORES) {
        struct worker *worker = &pool.workers[*index];
        if (*index == pool.started) {
            if (start_worker(worker))
                return NULL;
            pool.started++;
        }
        ++*index;
        if (!worker->busy)
            return worker;
    }
    return NULL;
}

/* Hand free cores to those who wait, the longest waiting first. Under the pool's lock. */
static void hand_out(void)
{
    while (pool.head && pool.free) {
        struct call *call = pool.head;
        int share = pool.free / atomic_load(&pool.waiting), cores = 1, index = 0;
        while (cores < call->wanted && cores < share) {
            struct worker *worker = free_worker(&index);
            if (!worker)
                break;
            worker->busy = 1;
            worker->core = cores;
            call->team[cores++] = worker;
        }
        pool.free -= cores;
        pool.head = call->next;
        atomic_fetch_sub(&pool.waiting, 1);
        call->cores = cores;
        pthread_cond_signal(&call->granted);
    }
}

static void enqueue(struct call *call)
{
    call->cores = 0;
    call->next = NULL;
    if (pool.head)
        pool.tail->next = call;
    else
        pool.head = call;
    pool.tail = call;
    atomic_fetch_add(&pool.waiting, 1);
}

static void give_back(struct call *call)
{
    for (int core = 1; core < call->cores; core++)
        call->team[core]->busy = 0;
    pool.free += call->cores;
}

/* The steps of one turn, by all cores that the call has. */
static void take_turn(struct call *call)
{
    atomic_store_explicit(&call->end, call->last, memory_order_relaxed);
    for (int core = 0; core < call->cores; core++)
        atomic_store_explicit(&call->flags[core].done, 0, memory_order_relaxed);
    call->since = microseconds();
    for (int core = 1; core < call->cores; core++)
        give(call->team[core], call);
    take_part(call, 0);
    for (int core = 1; core < call->cores; core++)
        while (atomic_load_explicit(&call->team[core]->call, memory_order_acquire))
            sched_yield();
    call->first = atomic_load_explicit(&call->end, memory_order_relaxed);
}

static void before_fork(void) { pthread_mutex_lock(&pool.lock); }

static void in_parent(void) { pthread_mutex_unlock(&pool.lock); }

static void in_child(void)
{
    pthread_mutex_init(&pool.lock, NULL);
    pool.started = 0;
    pool.free = pool.cores;
    pool.head = NULL;
    pool.process++;
    atomic_store(&pool.waiting, 0);
}

int32_t cnndsl_process(void) { return 1 + pool.process; }

static int count_cores(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set))
        return CPU_COUNT(&set);
#endif
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static void set_up(void)
{
    const char *text = getenv("CNNDSL_SPIN");
    char *end = NULL;
    long spin = text ? strtol(text, &end, 10) : 0;
    pool.spin = end != text && spin >= 0 && spin < 60000000 ? (int)spin : SPIN;
    pool.cores = count_cores();
    if (pool.cores < 1)
        pool.cores = 1;
    if (pool.cores > MOST_CORES)
        pool.cores = MOST_CORES;
    pool.free = pool.cores;
    pthread_atfork(before_fork, in_parent, in_child);
}

/* Linux, Documentation/arch/x86/xstate.rst: the permission is that of the process, its later threads
   and children. Without it the first instruction on tiles ends the process. */
int32_t cnndsl_permit(const struct cnndsl_program *program)
{
#if defined(__linux__) && defined(__x86_64__)
    enum { REQUEST = 0x1023, TILE_DATA = 18 };
    if (strstr(program->features, "amx-tile") && syscall(SYS_arch_prctl, REQUEST, TILE_DATA))
        return errno;
#else
    (void)program;
#endif
    return 0;
}

void cnndsl_run(const struct cnndsl_program *program, float *const *regions, int32_t threads,
                int32_t first, int32_t last)
{
    struct call call; /* Not cleared: most of it are flags for more cores than there are. */
    pthread_once(&once, set_up);
    call.program = program;
    call.regions = regions;
    call.first = first;
    call.last = last;
    call.wanted = threads > 0 && threads < pool.cores ? threads : pool.cores;
    pthread_cond_init(&call.granted, NULL);
    pthread_mutex_init(&call.lock, NULL);
    pthread_cond_init(&call.met, NULL);
    atomic_init(&call.sleepers, 0);
    pthread_mutex_lock(&pool.lock);
    while (call.first < call.last) {
        enqueue(&call);
        hand_out();
        while (!call.cores)
            pthread_cond_wait(&call.granted, &pool.lock);
        pthread_mutex_unlock(&pool.lock);
        take_turn(&call);
        pthread_mutex_lock(&pool.lock);
        give_back(&call);
    }
    hand_out();
    pthread_mutex_unlock(&pool.lock);
    pthread_cond_destroy(&call.granted);
    pthread_mutex_destroy(&call.lock);
    pthread_cond_destroy(&call.met);
}

/* Under the pool's lock. */
static void end_workers(void)
{
    for (int index = 0; index < pool.started; index++)
        give(&pool.workers[index], (struct call *)&quit);
    for (int index = 0; index < pool.started; index++)
        pthread_join(pool.workers[index].thread, NULL);
    pool.started = 0;
}

void cnndsl_stop(void)
{
    pthread_mutex_lock(&pool.lock);
    end_workers();
    pthread_mutex_unlock(&pool.lock);
}

void cnndsl_hold(void)
{
    pthread_mutex_lock(&pool.lock);
    pool.users++;
    pthread_mutex_unlock(&pool.lock);
}

void cnndsl_release(void)
{
    pthread_mutex_lock(&pool.lock);
    if (--pool.users == 0)
        end_workers();
    pthread_mutex_unlock(&pool.lock);
}

/* Several threads for one piece of work: those of POSIX; one where there are none. */
#ifndef THREADS_H
#define THREADS_H
#include <stdint.h>

#define MOST_THREADS 64

#if !defined(_WIN32) && !defined(__STDC_NO_ATOMICS__)
#include <pthread.h>
#include <stdatomic.h>

/* Call work(task) in so many threads, of which this is one, and wait for all. Fewer do where the
 * system gives no more. They are made anew each time, some tens of microseconds: nothing has to
 * survive a fork, and none waits in between. */
static void together(void *(*work)(void *), void *task, int64_t threads)
{
    pthread_t made[MOST_THREADS];
    int64_t count = 0, i;
    while (count + 1 < threads && count < MOST_THREADS - 1) {
        if (pthread_create(&made[count], 0, work, task))
            break;
        count++;
    }
    work(task);
    for (i = 0; i < count; i++)
        pthread_join(made[i], 0);
}

#else
typedef int atomic_int;
#define atomic_fetch_add(at, more) ((*(at) += (more)) - (more))
#define atomic_store(at, value) (*(at) = (value))

static void together(void *(*work)(void *), void *task, int64_t threads)
{
    (void)threads;
    work(task);
}
#endif

#endif

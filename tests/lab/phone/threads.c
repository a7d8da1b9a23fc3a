/*
 * Loaded into the phones, baresip 1.1: a thread counts as created once it has run for a moment.
 *
 * The player that writes a file says that it runs when its thread has come to run, not when it is created (put right in 2.0.0,
 * baresip#1727). One that is stopped in between, as when a call is held, is freed under its thread.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Processor time after which a thread is past its beginning, in nanoseconds. */
#define MOMENT 20000
/* How often it is looked, in microseconds, and how many times at most: a thread may wait for what comes much later. */
#define LOOK 200
#define LOOKS 2500

/* What a thread is to do. Never freed: phones have few threads, and one may begin after its creator has stopped waiting. */
struct beginning {
	void *(*run)(void *);
	void *argument;
	/* The thread's processor time when it began, in nanoseconds; 0 before. */
	atomic_llong began;
};

/* A clock's time in nanoseconds; -1 if there is no such clock any more. */
static long long ns(clockid_t clock)
{
	struct timespec now;

	return clock_gettime(clock, &now) ? -1 : now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void *begin(void *pointer)
{
	struct beginning *here = pointer;

	atomic_store(&here->began, ns(CLOCK_THREAD_CPUTIME_ID));
	return here->run(here->argument);
}

int pthread_create(pthread_t *handle, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
	struct beginning *beginning = calloc(1, sizeof(*beginning));
	clockid_t clock;
	int failed;

	beginning->run = run;
	beginning->argument = argument;
	failed = create(handle, attributes, begin, beginning);
	if (failed || pthread_getcpuclockid(*handle, &clock))
		return failed;
	for (int look = 0; look < LOOKS; look++) {
		long long began = atomic_load(&beginning->began), now = ns(clock);

		if (now < 0 || (began && now >= began + MOMENT))
			break;
		usleep(LOOK);
	}
	return 0;
}

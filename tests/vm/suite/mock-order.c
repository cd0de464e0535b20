/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Handles may be freed in any order. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "nest.h"

/*
 * All orders of the first ones are tried, 7 or what $TEST_ORDERS_OF says (8 take some minutes). The others are freed in
 * between, at random.
 */
static const enum nest_handle handles[NEST_HANDLES] = {
	NEST_DEVICE,   NEST_PARENT,  NEST_VIOMMU, NEST_HWPT, NEST_VDEVICE, NEST_HWQUEUE0,
	NEST_HWQUEUE1, NEST_VEVENTQ, NEST_CTX,    NEST_IOAS, NEST_FAULTQ,
};

static int orders_of(void)
{
	const char *of = getenv("TEST_ORDERS_OF");

	return of && *of == '8' ? 8 : 7;
}

struct scene {
	struct mock_device mock;
	struct iommufd_ctx *ctx; /* of the mock device, which outlives those that are tested */
	struct nest nest;
	uint32_t numbers[NEST_OBJECTS + 2];
	unsigned int errors;
	int fds;
};

static void scene_open(struct scene *scene)
{
	*scene = (struct scene){ .errors = 0 };
	ok(iommufd_ctx_new(NULL, &scene->ctx));
	mock_open(&scene->mock, scene->ctx, 0);
	nest_open(&scene->nest, &scene->mock, &scene->errors);
	nest_close(&scene->nest);
	nest_numbers(scene->mock.fd, scene->numbers, NEST_OBJECTS + 2);
	/* They are the lowest, and one behind the other. */
	for (unsigned int i = 1; i < NEST_OBJECTS + 2; i++)
		ck_assert_uint_eq(scene->numbers[i], scene->numbers[0] + i);
	scene->fds = open_fds();
}

static void scene_close(struct scene *scene)
{
	mock_close(&scene->mock);
	iommufd_ctx_free(scene->ctx);
}

static void print_order(const enum nest_handle *order)
{
	printf("# order:");
	for (int i = 0; i < NEST_HANDLES; i++)
		printf(" %d", (int)order[i]);
	printf("\n");
	fflush(stdout);
}

/* When an object is left, it has one of the lowest numbers. */
static bool nothing_is_left(struct scene *scene)
{
	uint32_t numbers[NEST_OBJECTS + 2];

	nest_numbers(scene->mock.fd, numbers, NEST_OBJECTS + 2);
	return !scene->errors && !memcmp(numbers, scene->numbers, sizeof(numbers)) && open_fds() == scene->fds;
}

static void free_in(struct scene *scene, const enum nest_handle *order)
{
	for (int i = 0; i < NEST_HANDLES; i++)
		nest_free(&scene->nest, order[i]);
}

static void try_order(struct scene *scene, const enum nest_handle *order)
{
	nest_open(&scene->nest, &scene->mock, &scene->errors);
	free_in(scene, order);
	if (nothing_is_left(scene))
		return;
	print_order(order);
	ck_abort_msg("%u errors, or objects or descriptors were left", scene->errors);
}

static void swap(enum nest_handle *a, enum nest_handle *b)
{
	enum nest_handle old = *a;

	*a = *b;
	*b = old;
}

/* Those behind the first ones each go to a place at random. */
static void mix_in(const enum nest_handle *first, int count, unsigned int *seed, enum nest_handle *order)
{
	memcpy(order, first, (size_t)count * sizeof(*first));
	for (; count < NEST_HANDLES; count++) {
		int place = rand_r(seed) % (count + 1);

		memmove(order + place + 1, order + place, (size_t)(count - place) * sizeof(*order));
		order[place] = handles[count];
	}
}

struct permutation {
	struct scene scene;
	enum nest_handle first[NEST_HANDLES];
	int size;
	unsigned int seed, tried;
};

/* Heap's way through all orders. */
static void permute(struct permutation *p, int count)
{
	enum nest_handle order[NEST_HANDLES];

	if (count == 1) {
		mix_in(p->first, p->size, &p->seed, order);
		try_order(&p->scene, order);
		p->tried++;
		return;
	}
	for (int i = 0; i < count; i++) {
		permute(p, count - 1);
		if (i < count - 1)
			swap(&p->first[count % 2 ? 0 : i], &p->first[count - 1]);
	}
}

/* Of all orders, those in which this one is the last of them. */
START_TEST(whatever_order_they_are_freed_in_nothing_is_left)
{
	struct permutation p = { .size = orders_of(), .seed = 1 };

	scene_open(&p.scene);
	memcpy(p.first, handles, sizeof(handles));
	swap(&p.first[_i], &p.first[p.size - 1]);
	permute(&p, p.size - 1);
	ck_assert_uint_eq(p.tried, p.size == 8 ? 5040 : 720);
	scene_close(&p.scene);
}
END_TEST

/* ---- In two threads ---- */

#define ROUNDS 400

struct share {
	struct nest *nest;
	enum nest_handle order[NEST_HANDLES];
	int count;
	pthread_barrier_t *start;
};

static void *free_share(void *data)
{
	struct share *share = data;

	pthread_barrier_wait(share->start);
	for (int i = 0; i < share->count; i++)
		nest_free(share->nest, share->order[i]);
	return NULL;
}

START_TEST(two_threads_that_free_them_at_random_leave_nothing)
{
	unsigned int seed = 7;
	struct scene scene;

	scene_open(&scene);
	for (int round = 0; round < ROUNDS; round++) {
		enum nest_handle order[NEST_HANDLES];
		pthread_barrier_t start;
		struct share shares[2];
		pthread_t thread;

		pthread_barrier_init(&start, NULL, 2);
		nest_open(&scene.nest, &scene.mock, &scene.errors);
		mix_in(handles, 0, &seed, order);
		for (int i = 0; i < 2; i++)
			shares[i] = (struct share){ .nest = &scene.nest, .start = &start };
		for (int i = 0; i < NEST_HANDLES; i++) {
			struct share *share = &shares[rand_r(&seed) % 2];

			share->order[share->count++] = order[i];
		}
		ck_assert_int_eq(pthread_create(&thread, NULL, free_share, &shares[1]), 0);
		free_share(&shares[0]);
		pthread_join(thread, NULL);
		pthread_barrier_destroy(&start);
		if (nothing_is_left(&scene))
			continue;
		print_order(order);
		ck_abort_msg("round %d: %u errors, or objects or descriptors were left", round, scene.errors);
	}
	scene_close(&scene);
}
END_TEST

void add_mock_order_tests(TCase *tc)
{
	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, whatever_order_they_are_freed_in_nothing_is_left, 0, orders_of());
	tcase_add_test(tc, two_threads_that_free_them_at_random_leave_nothing);
}

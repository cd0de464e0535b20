/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Several mappings at once, all or none, by several threads if that is wanted. What is long is bringing memory in, and
 * that is cut in pieces, at borders of huge pages, so that these are kept and no two threads want the same one; where
 * pages are larger than pieces, threads begin with pieces of different ones. A request is mapped by one ioctl: what one
 * call has made is one mapping, for the kernel too.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "internal.h"
#include "map.h"
#include "opts.h"
#include "populate.h"

#define MAX_THREADS 1024

/* So many bytes, as they are counted for progress, take longer than threads take to start, whatever they are. */
#define WORTH_THREADS (UINT64_C(256) << 20)

/* A step of so many bytes alone may, of pages that are small or have to be brought in. */
#define LONG_STEP (UINT64_C(4) << 20)

/* The largest page of a CPU of today; and how many pieces a thread is to have, so that all end at about one time. */
#define MAX_PIECE          (UINT64_C(1) << 30)
#define PIECES_OF_A_THREAD 16

/* A request on its way. */
struct one {
	struct ifd_map *map;
	uint64_t left; /* bytes that have not been brought in */
	bool mapped;
};

struct batch {
	struct iommufd_ioas *ioas;
	const struct iommufd_map *requests;
	struct one *ones;
	size_t count;
	struct iommufd_batch_opts opts;
	struct ifd_populate populate;
	uint64_t piece, total;
	uint64_t stride; /* in pieces: how much further on the next one of a request begins that is given out */
	bool in_order;   /* one is mapped after the other, since the kernel would not do it at once */

	pthread_mutex_t lock; /* for all below; never held across a system call or a callback */
	pthread_cond_t moved; /* something was done, or a thread has ended: for the caller's */
	size_t next;          /* the request of which a piece is to be given out next */
	uint64_t nth;         /* which one of it that is, by its place in memory */
	size_t first;         /* in order: the one to be mapped next */
	bool mapping;         /* in order: somebody is at it */
	unsigned int working; /* threads beside the caller's */
	uint64_t done, told;  /* bytes; as the progress callback has heard last */

	/* What has gone wrong, in the lowest request so far; nobody begins anything then. */
	int error;
	bool cancelled;
	size_t failed;
	struct ifd_words words;
};

/* ---- The work, with the lock held on the way in and out ---- */

/* The words are this thread's. */
static void note_failure(struct batch *batch, size_t i, int err)
{
	if (batch->error && (batch->cancelled || batch->failed < i))
		return;
	batch->error = err;
	batch->failed = i;
	ifd_words_keep(&batch->words);
}

static void map_one(struct batch *batch, size_t i)
{
	struct one *one = &batch->ones[i];
	int ret;

	pthread_mutex_unlock(&batch->lock);
	ret = ifd_map_somewhere(batch->ioas, &one->map, batch->requests[i].flags, NULL);
	pthread_mutex_lock(&batch->lock);
	if (ret) {
		note_failure(batch, i, ret);
		return;
	}
	one->mapped = true;
	batch->done += batch->requests[i].len;
}

static void map_in_order(struct batch *batch)
{
	batch->mapping = true;
	map_one(batch, batch->first);
	batch->first++;
	batch->mapping = false;
}

static uint64_t count_pieces(const struct batch *batch, const struct iommufd_map *request)
{
	uint64_t start = (uintptr_t)request->vaddr;

	return batch->piece ? (start + (request->len - 1)) / batch->piece - start / batch->piece + 1 : 1;
}

/* The place of a piece: all but the first begin at a border. */
static void cut(const struct batch *batch, const struct iommufd_map *request, uint64_t *start, uint64_t *len)
{
	uint64_t first = (uintptr_t)request->vaddr, last = first + (request->len - 1);

	*start = batch->nth ? (first / batch->piece + batch->nth) * batch->piece : first;
	*len = last - *start + 1;
	if (batch->piece && *len > batch->piece - *start % batch->piece)
		*len = batch->piece - *start % batch->piece;
}

/* By strides from the first piece, then from the second, and so on; then to the next request. */
static void go_on(struct batch *batch, uint64_t pieces)
{
	batch->nth += batch->stride;
	if (batch->nth < pieces)
		return;
	batch->nth = batch->nth % batch->stride + 1;
	if (batch->nth < batch->stride && batch->nth < pieces)
		return;
	batch->nth = 0;
	batch->next++;
}

/* The next piece of memory. Who brings in a request's last one maps it, unless that has to wait for its turn. */
static void take_piece(struct batch *batch)
{
	size_t i = batch->next;
	const struct iommufd_map *request = &batch->requests[i];
	uint64_t start, len;
	int ret = 0;

	cut(batch, request, &start, &len);
	go_on(batch, count_pieces(batch, request));
	if (batch->piece) {
		pthread_mutex_unlock(&batch->lock);
		ret = ifd_populate(&batch->populate, start, len, request->flags);
		pthread_mutex_lock(&batch->lock);
		batch->done += ret ? 0 : len;
	}
	if (ret) {
		note_failure(batch, i, ret);
		return;
	}
	batch->ones[i].left -= len;
	if (!batch->ones[i].left && !batch->in_order && !batch->error)
		map_one(batch, i);
}

/* True when there was something to do. What nobody can do now, the thread that has to end first will. */
static bool do_something(struct batch *batch)
{
	if (batch->error)
		return false;
	if (batch->in_order && !batch->mapping && batch->first < batch->count && !batch->ones[batch->first].left)
		map_in_order(batch);
	else if (batch->next < batch->count)
		take_piece(batch);
	else
		return false;
	return true;
}

/* ---- Threads ---- */

static void *help(void *data)
{
	struct batch *batch = data;

	pthread_mutex_lock(&batch->lock);
	while (do_something(batch))
		pthread_cond_signal(&batch->moved);
	batch->working--;
	pthread_cond_signal(&batch->moved);
	pthread_mutex_unlock(&batch->lock);
	return NULL;
}

/* By the caller's thread, with the lock held around it: what is under way goes on meanwhile. False: nothing is new. */
static bool tell(struct batch *batch)
{
	struct ifd_call call;
	int stop;

	if (!batch->opts.progress || batch->error || batch->done == batch->told)
		return false;
	batch->told = batch->done;
	pthread_mutex_unlock(&batch->lock);
	ifd_ctx_call_begin(batch->ioas->ctx, &call);
	stop = batch->opts.progress(batch->opts.data, batch->told, batch->total);
	ifd_ctx_call_end(batch->ioas->ctx, &call);
	pthread_mutex_lock(&batch->lock);
	if (stop) {
		batch->error = -ECANCELED;
		batch->cancelled = true;
	}
	return true;
}

/*
 * The caller's thread works like the others, and waits for the last of them. They may all have ended during a call,
 * with something to tell once more.
 */
static void work(struct batch *batch)
{
	bool more = true;

	pthread_mutex_lock(&batch->lock);
	while (more || batch->working) {
		if (!more)
			pthread_cond_wait(&batch->moved, &batch->lock);
		more = do_something(batch);
		more |= tell(batch);
	}
	pthread_mutex_unlock(&batch->lock);
}

static bool is_next_long(const struct batch *batch)
{
	uint64_t len = batch->next < batch->count ? batch->requests[batch->next].len : 0;

	return len > LONG_STEP && (batch->piece ? batch->piece > LONG_STEP : batch->next + 1 < batch->count);
}

/*
 * What is little, or in memory already, would be done before threads have started: until the clock moves, which is a
 * millisecond at most, or one step may take longer than that, the caller's thread works alone. True when there is more
 * to begin then.
 */
static bool is_worth_threads(struct batch *batch)
{
	uint64_t begin = ifd_sys_now_ms();
	bool more = batch->total < WORTH_THREADS;

	pthread_mutex_lock(&batch->lock);
	while (more && !is_next_long(batch) && ifd_sys_now_ms() == begin) {
		more = do_something(batch);
		more |= tell(batch);
	}
	more = batch->next < batch->count && !batch->error;
	pthread_mutex_unlock(&batch->lock);
	return more;
}

/* Threads that cannot be had are done without. */
static void work_together(struct batch *batch, pthread_t *threads, unsigned int wanted)
{
	unsigned int started = 0;

	wanted = wanted && is_worth_threads(batch) ? wanted : 0;
	batch->working = wanted;
	while (started < wanted && !ifd_sys_thread(&threads[started], help, batch))
		started++;
	pthread_mutex_lock(&batch->lock);
	batch->working -= wanted - started;
	pthread_mutex_unlock(&batch->lock);
	work(batch);
	while (started)
		pthread_join(threads[--started], NULL);
}

/* How many threads could be of use beside the caller's, of those that it wants. */
static unsigned int count_helpers(struct batch *batch, uint64_t bytes)
{
	uint64_t threads = batch->opts.flags & IOMMUFD_BATCH_ALL_CPUS ? ifd_sys_cpus() : batch->opts.threads;
	uint64_t page = ifd_sys_page_size(), pieces = batch->count;

	threads = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
	if (batch->opts.flags & IOMMUFD_BATCH_POPULATE) {
		batch->piece = page * (page / sizeof(uint64_t)); /* what a table of pages has: a huge page */
		while (batch->piece < MAX_PIECE && bytes / (2 * batch->piece) >= threads * PIECES_OF_A_THREAD)
			batch->piece *= 2;
		for (size_t i = 0; i < batch->count; i++)
			pieces += count_pieces(batch, &batch->requests[i]) - 1;
		/* Of a page of that size, all would wait for who came first to bring in all of it. */
		if (threads > 1 && batch->piece < MAX_PIECE)
			batch->stride = MAX_PIECE / batch->piece;
	} else if (batch->in_order) {
		return 0;
	}
	return (unsigned int)(threads < pieces ? threads : pieces) - 1;
}

/* ---- All or nothing ---- */

static int prepare_one(struct batch *batch, size_t i, uint64_t *bytes)
{
	const struct iommufd_map *request = &batch->requests[i];
	int ret;

	if (request->reserved)
		ret = ifd_fail(-EINVAL, "set it to 0", "map with a reserved member that is not 0");
	else if (request->len > INT64_MAX - *bytes)
		ret = ifd_fail(-EOVERFLOW, "give lengths in bytes", "map 2^63 bytes or more at once");
	else
		ret = ifd_map_prepare(batch->ioas, request, NULL, &batch->ones[i].map);
	if (ret) {
		note_failure(batch, i, ret);
		return ret;
	}
	batch->ones[i].left = request->len;
	*bytes += request->len;
	return 0;
}

static bool is_picked(const struct iommufd_map *request)
{
	return !(request->flags & IOMMUFD_MAP_FIXED);
}

/*
 * All places first, so that most mistakes are found before the kernel has to pin anything. Before the library picks
 * any, what is to be at a certain one has it.
 */
static int prepare(struct batch *batch, uint64_t *bytes)
{
	int ret = 0;

	for (int picked = 0; picked < 2; picked++)
		for (size_t i = 0; i < batch->count && !ret; i++)
			if (is_picked(&batch->requests[i]) == picked)
				ret = prepare_one(batch, i, bytes);
	return ret;
}

static int take_back(struct batch *batch)
{
	struct ifd_words *why = &batch->words;
	char hint[IFD_HINT_MAX] = "";
	size_t stay = 0;

	for (size_t i = 0; i < batch->count; i++)
		if (batch->ones[i].mapped)
			stay += !ifd_map_take_back(batch->ioas, batch->ones[i].map);
		else if (batch->ones[i].map)
			ifd_map_give_up(batch->ioas, batch->ones[i].map);
	if (stay)
		ifd_hint(hint, "%zu mappings could not be taken back and stay; ", stay);
	else
		ifd_hint(hint, "nothing was mapped; ");
	if (batch->cancelled)
		return ifd_fail(batch->error, strcat(hint, "the progress callback said so"), "map a batch of %zu",
				batch->count);
	ifd_hint(hint, "%s", why->text);
	return ifd_fail(batch->error, hint, "map %zu of a batch of %zu", batch->failed, batch->count);
}

static int map_all(struct batch *batch)
{
	unsigned int helpers;
	pthread_t *threads;
	uint64_t bytes = 0;
	int ret;

	if (prepare(batch, &bytes))
		return take_back(batch);
	helpers = count_helpers(batch, bytes);
	batch->total = batch->piece ? 2 * bytes : bytes;
	threads = calloc(helpers + 1, sizeof(*threads));
	ret = threads ? 0 : ifd_fail(-ENOMEM, NULL, "have %u threads", helpers);
	if (!ret && batch->piece)
		ret = ifd_populate_begin(&batch->populate, batch->requests, batch->count);
	if (ret)
		note_failure(batch, 0, ret);
	else
		work_together(batch, threads, helpers);
	ifd_populate_end(&batch->populate);
	free(threads);
	return batch->error ? take_back(batch) : 0;
}

static int map_gated(struct batch *batch, struct iommufd_map *requests)
{
	struct iommufd_ioas *ioas = batch->ioas;
	int ret;

	batch->in_order = !ioas->ctx->backend->maps_at_once || ioas->unpinned;
	ifd_phys_begin(ioas);
	ret = map_all(batch);
	for (size_t i = 0; i < batch->count && !ret; i++) {
		requests[i].iova = batch->ones[i].map->iova.start;
		ifd_index_commit(&ioas->index, batch->ones[i].map);
	}
	ifd_phys_end(ioas);
	return ret;
}

static int check(struct batch *batch, const struct iommufd_batch_opts *opts)
{
	struct iommufd_batch_opts *mine = &batch->opts;
	int ret = ifd_ctx_check(batch->ioas->ctx, "map a batch");

	if (!ret)
		ret = ifd_opts_read(mine, sizeof(*mine), IFD_END_OF(struct iommufd_batch_opts, data), opts,
				    "options of a batch");
	if (ret)
		return ret;
	if (mine->flags & ~(uint32_t)(IOMMUFD_BATCH_POPULATE | IOMMUFD_BATCH_ALL_CPUS))
		return ifd_fail(-EINVAL, "use the IOMMUFD_BATCH flags only", "map a batch with the flags 0x%x",
				mine->flags);
	if (mine->threads > (mine->flags & IOMMUFD_BATCH_ALL_CPUS ? 0 : MAX_THREADS))
		return ifd_fail(-EINVAL, "up to 1024, or IOMMUFD_BATCH_ALL_CPUS alone", "map a batch with %u threads",
				mine->threads);
	return batch->count ? 0 : ifd_fail(-EINVAL, "name one mapping at least", "map a batch of nothing");
}

EXPORT int iommufd_ioas_map_batch(struct iommufd_ioas *ioas, struct iommufd_map *maps, size_t count,
				  const struct iommufd_batch_opts *opts)
{
	struct batch batch = {
		.ioas = ioas,
		.requests = maps,
		.count = count,
		.stride = 1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.moved = PTHREAD_COND_INITIALIZER,
	};
	int ret = check(&batch, opts), cancel;

	if (ret)
		return ret;
	batch.ones = calloc(count, sizeof(*batch.ones));
	if (!batch.ones)
		return ifd_fail(-ENOMEM, NULL, "map a batch of %zu", count);
	/* What is locked would stay so, and other threads have our memory. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_rwlock_rdlock(&ioas->gate);
	ret = map_gated(&batch, maps);
	pthread_rwlock_unlock(&ioas->gate);
	pthread_setcancelstate(cancel, NULL);
	free(batch.ones);
	pthread_cond_destroy(&batch.moved);
	pthread_mutex_destroy(&batch.lock);
	return ret;
}

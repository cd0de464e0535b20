/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * What the files with the calls share: the handles, the numbers that a caller gives, and what every call has to keep
 * to.
 */
#ifndef FUZZ_CALLS_H
#define FUZZ_CALLS_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <libiommufd.h>

#include "fuzz-kernel.h"

#define PAGE  UINT64_C(4096)
#define SLOTS 4

struct fuzz_buffer {
	struct iommufd_ioas *ioas;
	struct iommufd_dma dma;
};

/* All that there is; NULL or of no bytes where there is none. */
struct fuzz_handles {
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas[SLOTS];
	struct iommufd_device *dev[SLOTS];
	struct fuzz_buffer buffers[SLOTS];
	void *window[SLOTS];
	struct iommufd_hwpt *hwpt[SLOTS];
	struct iommufd_faultq *faultq[SLOTS];
	struct iommufd_viommu *viommu[SLOTS];
	struct iommufd_vdevice *vdevice[SLOTS];
	struct iommufd_veventq *veventq[SLOTS];
	struct iommufd_hwqueue *hwqueue[SLOTS];
	struct iommufd_migration *migration[SLOTS];
	struct iommufd_kvm_irqfd *irqfd[SLOTS];
	struct iommufd_kvm *kvm;
	int event; /* an eventfd */
};
extern struct fuzz_handles fuzz;

/* Of the stream: a byte; a number such as a careless caller gives; one that is most often a few whole pages. */
uint8_t fuzz_call_byte(void);
uint64_t fuzz_call_number(void);
uint64_t fuzz_call_pages(void);

/* Around a call: its result is 0 to `most`, or an errno with words of its own. The result. */
void fuzz_before(const char *name);
int fuzz_after(int ret, int most);

/* The same for translation, which has no words for a miss. */
int fuzz_after_search(int ret, int most);

#define CALL(function, ...)  (fuzz_before(#function), fuzz_after(function(__VA_ARGS__), 0))
#define COUNT(function, ...) (fuzz_before(#function), fuzz_after(function(__VA_ARGS__), INT32_MAX))

/* A mapping such as a caller asks for, and whether its place has the alignment that it asked for. */
struct iommufd_map fuzz_some_map(void);
void fuzz_check_aligned(uint32_t flags, uint64_t iova);

/* A buffer in a slot that has none; `opts` may be NULL. */
void fuzz_buffer_make(unsigned int slot, struct iommufd_ioas *in, const struct iommufd_dma_opts *opts);

/* What the kernel said of an address space must have been made sense of. */
void fuzz_check_ioas(struct iommufd_ioas *ioas);

/* One call on an address space, a device or another object, as `what` chooses. */
#define FUZZ_IOAS_CALLS   9
#define FUZZ_MORE_CALLS   9
#define FUZZ_PLACE_CALLS  6
#define FUZZ_DEVICE_CALLS 9
#define FUZZ_OBJECT_CALLS 17
#define FUZZ_LAYER_CALLS  9
void fuzz_call_ioas(uint8_t what, struct iommufd_ioas *in);
void fuzz_call_device(uint8_t what, unsigned int slot, struct iommufd_ioas *in);
void fuzz_call_more(uint8_t what, struct iommufd_ioas *in);
void fuzz_call_place(uint8_t what, struct iommufd_ioas *in);
void fuzz_call_object(uint8_t what, unsigned int slot, unsigned int dev, struct iommufd_ioas *in);
void fuzz_objects_drop(unsigned int slot);

/* What goes beyond a device's registers; a VM comes or goes, or is asked. */
void fuzz_call_layer(uint8_t what, unsigned int slot, struct iommufd_ioas *in);
void fuzz_layer_drop(unsigned int slot);
void fuzz_kvm(uint8_t what);
void fuzz_buffer_drop(struct fuzz_buffer *buffer);

#endif

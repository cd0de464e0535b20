/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Translation, held against a plain list: see translate-model.h. */
#include "translate-model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model_seen seen = { .hits = 0 };

	model_run(data, size, &seen);
	return 0;
}

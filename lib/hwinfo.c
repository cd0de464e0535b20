/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
#include <errno.h>

#include "handle.h"
#include "internal.h"
#include "udev.h"
#include "uapi/iommufd.h"

int ifd_device_numbered(const struct iommufd_device *dev, const char *what)
{
	struct iommu_hw_info none = { .size = sizeof(none) };
	char hint[IFD_HINT_MAX] = "";

	if (dev->id)
		return 0;
	ifd_hint_command(hint, dev->ctx, IOMMU_GET_HW_INFO, ifd_command(dev->ctx, IOMMU_GET_HW_INFO, &none));
	if (!*hint)
		ifd_hint(hint, "it has no number in the iommufd: have it opened by its own node, here");
	return ifd_fail(-EOPNOTSUPP, hint, "%s of %s", what, dev->found->name);
}

/* The kernel writes `len` bytes in any case, zeros behind what it has. `want` is a type, or 0 for what it chooses. */
static int ask(const struct iommufd_device *dev, uint32_t want, struct iommu_hw_info *cmd, void *data, size_t len)
{
	char hint[IFD_HINT_MAX] = "";
	int ret = ifd_ctx_check(dev->ctx, "ask for an IOMMU");

	if (!ret)
		ret = ifd_device_numbered(dev, "the IOMMU");
	if (ret)
		return ret;
	if (len > UINT32_MAX)
		return ifd_fail(-EINVAL, "give the length in bytes", "the IOMMU of %s: room for %zu bytes",
				dev->found->name, len);
	*cmd = (struct iommu_hw_info){ .size = sizeof(*cmd),
				       .flags = want ? IOMMU_HW_INFO_FLAG_INPUT_TYPE : 0,
				       .in_data_type = want,
				       .dev_id = dev->id,
				       .data_len = (uint32_t)len,
				       .data_uptr = (uintptr_t)data };
	ret = ifd_command(dev->ctx, IOMMU_GET_HW_INFO, cmd);
	if (!ret)
		return 0;
	if (ret == -EOPNOTSUPP && want)
		ifd_hint(hint, "it has none that tells of type %u, or Linux is older than 6.17: leave want_type at 0",
			 want);
	else if (ret == -EOPNOTSUPP)
		ifd_hint(hint, "it has none");
	else
		ifd_hint_command(hint, dev->ctx, IOMMU_GET_HW_INFO, ret);
	return ifd_fail(ret, hint, "the IOMMU of %s", dev->found->name);
}

EXPORT int iommufd_device_hw_info(const struct iommufd_device *dev, struct iommufd_hw_info *info, void *data,
				  size_t len)
{
	struct iommufd_hw_info mine = { 0 };
	struct iommu_hw_info cmd;
	int ret = ifd_info_check(info, IFD_END_OF(struct iommufd_hw_info, want_type), "IOMMU info");

	if (!ret)
		ret = ask(dev, info->want_type, &cmd, data, data ? len : 0);
	if (ret)
		return ret;
	mine.capabilities = cmd.out_capabilities;
	mine.type = cmd.out_data_type;
	mine.pasid_bits = cmd.out_max_pasid_log2;
	mine.data_len = cmd.data_len;
	mine.want_type = info->want_type;
	ifd_info_write(info, &mine, sizeof(mine));
	return 0;
}

/* ---- Typed views ---- */

/* Reads data of one type, all of it. */
static int view(const struct iommufd_device *dev, uint32_t type, void *data, size_t len)
{
	static const char *const names[] = { "nothing that the kernel tells of", "Intel VT-d", "an Arm SMMUv3",
					     "Tegra241 CMDQV", "an AMD IOMMU" };
	struct iommu_hw_info cmd;
	int ret = ask(dev, 0, &cmd, data, len);

	if (ret)
		return ret;
	if (cmd.out_data_type != type)
		return ifd_fail(-EOPNOTSUPP, "ask iommufd_device_hw_info() first", "the IOMMU of %s: it is %s, not %s",
				dev->found->name,
				cmd.out_data_type < sizeof(names) / sizeof(names[0])
					? names[cmd.out_data_type]
					: "of a type that is not known here",
				names[type]);
	return cmd.data_len >= len ? 0
				   : ifd_fail(-EPROTO, NULL, "the IOMMU of %s: the kernel gave %u bytes of %zu",
					      dev->found->name, cmd.data_len, len);
}

EXPORT int iommufd_device_hw_vtd(const struct iommufd_device *dev, struct iommufd_hw_vtd *out)
{
	struct iommufd_hw_vtd mine = { 0 };
	struct iommu_hw_info_vtd data;
	int ret = ifd_info_check(out, IFD_END_OF(struct iommufd_hw_vtd, reserved), "VT-d registers");

	if (!ret)
		ret = view(dev, IOMMU_HW_INFO_TYPE_INTEL_VTD, &data, sizeof(data));
	if (ret)
		return ret;
	mine.cap = data.cap_reg;
	mine.ecap = data.ecap_reg;
	mine.flags = data.flags;
	ifd_info_write(out, &mine, sizeof(mine));
	return 0;
}

EXPORT int iommufd_device_hw_smmuv3(const struct iommufd_device *dev, struct iommufd_hw_smmuv3 *out)
{
	struct iommufd_hw_smmuv3 mine = { 0 };
	struct iommu_hw_info_arm_smmuv3 data;
	int ret = ifd_info_check(out, IFD_END_OF(struct iommufd_hw_smmuv3, reserved), "SMMUv3 registers");

	if (!ret)
		ret = view(dev, IOMMU_HW_INFO_TYPE_ARM_SMMUV3, &data, sizeof(data));
	if (ret)
		return ret;
	for (size_t i = 0; i < sizeof(mine.idr) / sizeof(mine.idr[0]); i++)
		mine.idr[i] = data.idr[i];
	mine.iidr = data.iidr;
	mine.aidr = data.aidr;
	mine.flags = data.flags;
	ifd_info_write(out, &mine, sizeof(mine));
	return 0;
}

EXPORT int iommufd_device_hw_amd(const struct iommufd_device *dev, struct iommufd_hw_amd *out)
{
	struct iommufd_hw_amd mine = { 0 };
	struct iommu_hw_info_amd data;
	int ret = ifd_info_check(out, IFD_END_OF(struct iommufd_hw_amd, efr2), "AMD IOMMU registers");

	if (!ret)
		ret = view(dev, IOMMU_HW_INFO_TYPE_AMD, &data, sizeof(data));
	if (ret)
		return ret;
	mine.efr = data.efr;
	mine.efr2 = data.efr2;
	ifd_info_write(out, &mine, sizeof(mine));
	return 0;
}

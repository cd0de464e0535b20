/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file libiommufd.h
 * @brief Everything: includes each of the library's headers.
 */
#ifndef LIBIOMMUFD_H
#define LIBIOMMUFD_H

#include <libiommufd/ap.h>
#include <libiommufd/base.h>
#include <libiommufd/bind.h>
#include <libiommufd/ccw.h>
#include <libiommufd/ctx.h>
#include <libiommufd/device.h>
#include <libiommufd/diagnosis.h>
#include <libiommufd/dirty.h>
#include <libiommufd/dma.h>
#include <libiommufd/fault.h>
#include <libiommufd/feature.h>
#include <libiommufd/hwinfo.h>
#include <libiommufd/hwpt.h>
#include <libiommufd/ioas.h>
#include <libiommufd/irq.h>
#include <libiommufd/kvm.h>
#include <libiommufd/mdev.h>
#include <libiommufd/migration.h>
#include <libiommufd/mmio.h>
#include <libiommufd/monitor.h>
#include <libiommufd/object.h>
#include <libiommufd/pci.h>
#include <libiommufd/platform.h>
#include <libiommufd/pool.h>
#include <libiommufd/region.h>
#include <libiommufd/report.h>
#include <libiommufd/viommu.h>

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/**
 * @file mmio.h
 * @brief Access to registers in a region that iommufd_device_region_map() mapped.
 *
 * Registers are little-endian, as on PCI; values are the CPU's. Each function is one access of its width, at an
 * address aligned to it. A write comes after every earlier write to memory, so that a device that is told of a
 * descriptor finds it complete. A read comes before every later access to memory, so that what a device says it wrote
 * is there. Since 0.1, all of them.
 */
#ifndef LIBIOMMUFD_MMIO_H
#define LIBIOMMUFD_MMIO_H

#include <stdint.h>

/* <endian.h> offers its conversions only outside of strict C99. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define IOMMUFD_MMIO_LE16(value) (value)
#define IOMMUFD_MMIO_LE32(value) (value)
#define IOMMUFD_MMIO_LE64(value) (value)
#else
#define IOMMUFD_MMIO_LE16(value) __builtin_bswap16(value)
#define IOMMUFD_MMIO_LE32(value) __builtin_bswap32(value)
#define IOMMUFD_MMIO_LE64(value) __builtin_bswap64(value)
#endif

/**
 * @brief Earlier writes to memory become visible to devices before later ones.
 * @since 0.1
 */
static inline void iommufd_mmio_wmb(void)
{
#if defined(__aarch64__)
	__asm__ __volatile__("dmb oshst" ::: "memory");
#elif defined(__x86_64__) || defined(__i386__)
	__asm__ __volatile__("" ::: "memory"); /* stores are not reordered with stores */
#else
	__sync_synchronize();
#endif
}

/**
 * @brief Earlier reads of memory are done before later accesses.
 * @since 0.1
 */
static inline void iommufd_mmio_rmb(void)
{
#if defined(__aarch64__)
	__asm__ __volatile__("dmb oshld" ::: "memory");
#elif defined(__x86_64__) || defined(__i386__)
	__asm__ __volatile__("" ::: "memory"); /* loads are not reordered with loads */
#else
	__sync_synchronize();
#endif
}

/**
 * @brief Read a register of 8 bits.
 * @param at its address
 * @return its value
 * @since 0.1
 */
static inline uint8_t iommufd_mmio_read8(const volatile void *at)
{
	uint8_t value = *(const volatile uint8_t *)at;
	iommufd_mmio_rmb();
	return value;
}

/**
 * @brief Read a register of 16 bits.
 * @param at its address
 * @return its value
 * @since 0.1
 */
static inline uint16_t iommufd_mmio_read16(const volatile void *at)
{
	uint16_t value = IOMMUFD_MMIO_LE16(*(const volatile uint16_t *)at);
	iommufd_mmio_rmb();
	return value;
}

/**
 * @brief Read a register of 32 bits.
 * @param at its address
 * @return its value
 * @since 0.1
 */
static inline uint32_t iommufd_mmio_read32(const volatile void *at)
{
	uint32_t value = IOMMUFD_MMIO_LE32(*(const volatile uint32_t *)at);
	iommufd_mmio_rmb();
	return value;
}

/**
 * @brief Read a register of 64 bits. On a 32-bit CPU this may be two accesses.
 * @param at its address
 * @return its value
 * @since 0.1
 */
static inline uint64_t iommufd_mmio_read64(const volatile void *at)
{
	uint64_t value = IOMMUFD_MMIO_LE64(*(const volatile uint64_t *)at);
	iommufd_mmio_rmb();
	return value;
}

/**
 * @brief Write a register of 8 bits.
 * @param at    its address
 * @param value what to write
 * @since 0.1
 */
static inline void iommufd_mmio_write8(volatile void *at, uint8_t value)
{
	iommufd_mmio_wmb();
	*(volatile uint8_t *)at = value;
}

/**
 * @brief Write a register of 16 bits.
 * @param at    its address
 * @param value what to write
 * @since 0.1
 */
static inline void iommufd_mmio_write16(volatile void *at, uint16_t value)
{
	iommufd_mmio_wmb();
	*(volatile uint16_t *)at = IOMMUFD_MMIO_LE16(value);
}

/**
 * @brief Write a register of 32 bits.
 * @param at    its address
 * @param value what to write
 * @since 0.1
 */
static inline void iommufd_mmio_write32(volatile void *at, uint32_t value)
{
	iommufd_mmio_wmb();
	*(volatile uint32_t *)at = IOMMUFD_MMIO_LE32(value);
}

/**
 * @brief Write a register of 64 bits. On a 32-bit CPU this may be two accesses.
 * @param at    its address
 * @param value what to write
 * @since 0.1
 */
static inline void iommufd_mmio_write64(volatile void *at, uint64_t value)
{
	iommufd_mmio_wmb();
	*(volatile uint64_t *)at = IOMMUFD_MMIO_LE64(value);
}

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Configuration space, as far as the library looks into it: PCI Local Bus Specification 3.0, chapter 6; PCI Express
 * Base Specification 5.0, sections 7.5.2 and 7.5.3; Advanced Capabilities for Conventional PCI. Internal.
 */
#ifndef IFD_PCI_REGS_H
#define IFD_PCI_REGS_H

#define PCI_COMMAND        0x04
#define PCI_COMMAND_IO     0x0001
#define PCI_COMMAND_MEMORY 0x0002
#define PCI_COMMAND_MASTER 0x0004
#define PCI_STATUS         0x06

/* A chain of capabilities behind the header, each with its kind and the place of the next. */
#define PCI_CAPABILITIES 0x34
#define PCI_HEADER_SIZE  0x40
#define PCI_CHAIN_END    0x100
#define PCI_SPACE_SIZE   0x1000

#define PCI_CAP_POWER        0x01
#define PCI_POWER_CONTROL    4
#define PCI_POWER_STATE      0x03 /* 0 for awake */
#define PCI_CAP_EXPRESS      0x10
#define PCI_EXPRESS_CONTROL  9 /* the upper half of the register, whose highest bit resets the function */
#define PCI_EXPRESS_RESET    0x80
#define PCI_CAP_ADVANCED     0x13
#define PCI_ADVANCED_CONTROL 4
#define PCI_ADVANCED_RESET   0x01

#endif

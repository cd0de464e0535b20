/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The token of a physical function that is bound to vfio-pci: who opens one of its virtual functions has to know it,
 * and so has who opens itself while those are in use. While they are not, the kernel takes a token at the open of the
 * physical function for the new one. Internal.
 */
#ifndef IFD_TOKEN_H
#define IFD_TOKEN_H

#include <stddef.h>

struct ifd_found;
struct iommufd_device;

/*
 * Before anything is opened: -EINVAL with words when there is a token that nobody would ask for. Sets what the next one
 * goes by.
 */
int ifd_token_check(struct iommufd_device *dev);

/*
 * What the kernel would say of a token, or of none, at the open of a device, which stays as it is: 0, -EACCES, or what
 * else is in the way. Without words.
 */
typedef int (*ifd_token_ask)(struct iommufd_device *dev, int fd, const unsigned char *token);

/*
 * With the node open that hands out the device: 0 when its token, or that it has none, is right as far as can be told,
 * and sets none by accident; else with words -EACCES, -EINVAL or what kept the kernel from telling.
 */
int ifd_token_settle(struct iommufd_device *dev, int fd, ifd_token_ask ask);

/* EACCES: whose token is missing or wrong. */
void ifd_hint_token(char *hint, const struct iommufd_device *dev);

/* What a group is asked for: the device's name, with the token behind it, or with NULL alone. */
#define IFD_TOKEN_NAME_MAX 128
void ifd_token_name(const struct ifd_found *found, const unsigned char *token, char name[IFD_TOKEN_NAME_MAX]);

/* For a diagnosis: -EACCES when who opens the device has to give a token, else 0; and words, none if it is clear. */
int ifd_token_look(const struct ifd_found *found, char *words);

#endif

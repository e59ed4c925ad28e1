// What the files of this folder share.
#ifndef BERTH_CALLS_H
#define BERTH_CALLS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "CKernel.h"

#include <errno.h>

static inline long checked(long result) { return result < 0 ? -errno : result; }

#endif

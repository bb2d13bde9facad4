/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * assert_between(), low and high included: cmocka 2.0 deprecates assert_in_range(), and what it has instead is
 * not in 1.x.
 */
#ifndef BETWEEN_H
#define BETWEEN_H

#include <inttypes.h>

#define assert_between(value, low, high)                                                                     \
	do {                                                                                                 \
		intmax_t is_ = (value), low_ = (low), high_ = (high);                                        \
                                                                                                             \
		if (is_ < low_ || is_ > high_)                                                               \
			fail_msg("%s: %" PRIdMAX ", and not between %" PRIdMAX " and %" PRIdMAX, #value,     \
				 is_, low_, high_);                                                          \
	} while (0)

#endif

// SPDX-License-Identifier: MIT OR Apache-2.0
/* Types of a kernel. */
struct timer_of_the_kernel {
	long start;
	int flags;
	int period;
} timer;

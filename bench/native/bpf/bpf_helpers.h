/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the programs of bpf/ call, in plain C: they are compiled natively as they stand. */
#ifndef ALVEARY_NATIVE_HELPERS_H
#define ALVEARY_NATIVE_HELPERS_H

#include <stddef.h>

#define SEC(name)
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define seldom(x) __builtin_expect(!!(x), 0)

/* The clock stands and there is one CPU, as for the engine that it is held against; neither is a constant. */
extern __u64 time_now;
extern __u32 cpu_now;

#include "../maps.h"

#ifdef WITHIN
#define HELPER static __always_inline
#include "../packets.h"

#define bpf_ktime_get_ns() time_now
#define bpf_ktime_get_coarse_ns() time_now
#define bpf_get_smp_processor_id() cpu_now
#else
#include "../calls.h"
#endif

/* Nothing that is measured has a program behind it, reads events or draws lots. */
#define bpf_tail_call(context, map, index) ((void)0)
#define bpf_ringbuf_output(map, data, size, flags) unforeseen()
#define bpf_get_prandom_u32() unforeseen()
#define bpf_redirect(device, flags) unforeseen()

/* Ends the measurement; the compiler does not know that. */
long unforeseen(void);

#endif

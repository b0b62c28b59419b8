; What the disassembler writes.
.section xdp
.globl prog
prog:
    r6 = r1
    r2 = *(u32 *)(r6 + 4)
    r1 = *(u32 *)(r6 + 0)
    r3 = r1
    r3 += 14
    if r3 > r2 goto out
    w4 = *(u16 *)(r1 + 12)
    r4 = be16 r4
    if w4 != 0x800 goto out      # IPv4 only
    *(u64 *)(r10 - 8) = 7
    lock *(u64 *)(r10 - 8) += r4
    r4 = atomic_fetch_add((u64 *)(r10 - 8), r4)
    r1 = counters ll
    r2 = r10
    r2 += -8
    call 1
    call helper_7
    call bpf_ktime_get_ns
    call inner
    r5 = 0x1122334455667788 ll
    may_goto +1
    gotol out
out:
    r0 = 2
    exit
inner:
    w0 s>>= 3
    r0 = (s8)r0
    r0 = bswap32 r0
    if w0 s> -7 goto inner
    exit

# --kernel 5.9
.section xdp/a
indexed:
    r2 = *(u32 *)(r1 + 12)
    r2 &= 8
    r3 = r10
    r3 += -16
    r3 += r2
    r0 = 0
    *(u64 *)(r3 + 0) = r0
    exit
.section xdp/b
counts:
    r0 = 0
    *(u64 *)(r10 - 8) = r0
    r1 = 1
    r1 = atomic_fetch_add((u64 *)(r10 - 8), r1)
    exit

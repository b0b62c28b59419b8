.section xdp/a
below:
    r1 = 5
    *(u64 *)(r10 - 520) = r1
    r0 = 0
    exit
.section xdp/b
misaligned:
    r1 = 5
    *(u64 *)(r10 - 12) = r1
    r0 = 0
    exit
.section xdp/c
half_a_pointer:
    *(u64 *)(r10 - 8) = r1
    r0 = *(u32 *)(r10 - 8)
    exit
.section xdp/d
indexed:
    r2 = *(u32 *)(r1 + 12)
    r2 &= 31
    r3 = r10
    r3 += -16
    r3 += r2
    r0 = 0
    *(u8 *)(r3 + 0) = r0
    exit
.section xdp/e
overwritten:
    *(u64 *)(r10 - 8) = r1
    r2 = 0
    *(u8 *)(r10 - 8) = r2
    r3 = *(u64 *)(r10 - 8)
    r0 = *(u32 *)(r3 + 0)
    exit

.section xdp/a
added:
    r2 = *(u32 *)(r1 + 0)
    r2 += r1
    r0 = 0
    exit
.section xdp/b
in_32_bits:
    r2 = *(u32 *)(r1 + 0)
    w2 += 4
    r0 = 0
    exit
.section xdp/c
masked:
    r2 = r10
    r2 &= -8
    r0 = 0
    exit
.section xdp/d
end_moved:
    r2 = *(u32 *)(r1 + 4)
    r2 += 4
    r0 = 0
    exit
.section xdp/e
context_moved:
    r1 += 4
    r0 = *(u32 *)(r1 + 0)
    exit
.section xdp/f
truncated:
    r2 = *(u32 *)(r1 + 0)
    w2 = w2
    r0 = *(u8 *)(r2 + 0)
    exit
.section xdp/g
constant:
    r2 = 8
    r0 = *(u64 *)(r2 + 0)
    exit
.section xdp/h
far:
    r2 = r10
    r2 += 2147483646
    r0 = 0
    exit
.section xdp/i
lost_check:
    r2 = *(u32 *)(r1 + 12)
    r3 = r2
    r3 <<= 1
    if r3 > 40 goto e
    r4 = r10
    r4 += -64
    r4 += r2
    r0 = 0
    *(u8 *)(r4 + 0) = r0
e:
    r0 = 0
    exit
.section xdp/j
difference:
    r2 = *(u32 *)(r1 + 4)
    r3 = *(u32 *)(r1 + 0)
    r2 -= r3
    r0 = *(u8 *)(r2 + 0)
    exit

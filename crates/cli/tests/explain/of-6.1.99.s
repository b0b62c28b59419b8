# --kernel 6.1.99
.section xdp/a
signed:
    r0 = *(u32 *)(r1 + 12)
    r0 = (s8)r0
    exit
.section xdp/b
jumps:
    r0 = 0
l:
    may_goto e
    goto l
e:
    exit
.section xdp/c
unwritten:
    r0 = 0
    *(u32 *)(r10 - 8) = r0
    r1 = *(u64 *)(r10 - 8)
    exit

.section xdp/a
into_constant:
    if r1 == 0 goto +1
    r0 = 1 ll
    exit
.section xdp/b
out_of_range:
    r0 = 0
    goto +5
    exit
.section xdp/d
escapes:
    call f
    r0 = 0
    exit
f:
    r0 = r10
    exit
.section xdp/e
stored_above:
    r1 = r10
    r1 += -8
    call g
    r0 = 0
    exit
g:
    r2 = r10
    *(u64 *)(r1 + 0) = r2
    r0 = 0
    exit
.section xdp/f
deep:
    r0 = 0
    *(u64 *)(r10 - 400) = r0
    call h
    exit
h:
    r0 = 0
    *(u64 *)(r10 - 400) = r0
    exit
.section xdp/g
legacy:
    r6 = r1
    r0 = *(u8 *)skb[12]
    exit
.section xdp/h
counts_in_context:
    r2 = 1
    lock *(u32 *)(r1 + 0) += r2
    r0 = 0
    exit
.section xdp/j
one_load_two_pointers:
    r6 = r1
    r7 = 5
    *(u64 *)(r10 - 8) = r7
    r7 = r10
    r7 += -8
    call 7
    if r0 == 0 goto l
    r7 = r6
l:
    r0 = *(u32 *)(r7 + 0)
    exit
.section cgroup_skb/egress
writes_packet:
    r2 = *(u32 *)(r1 + 76)
    r3 = *(u32 *)(r1 + 80)
    r4 = r2
    r4 += 1
    if r4 > r3 goto e
    r5 = 0
    *(u8 *)(r2 + 0) = r5
e:
    r0 = 1
    exit
.section raw_tracepoint.w/a
before_buffer:
    r2 = *(u64 *)(r1 + 0)
    r2 += -8
    r0 = *(u64 *)(r2 + 0)
    r0 = 0
    exit
.section uprobe/a
not_gpl:
    r1 = r10
    r1 += -8
    r2 = 8
    r3 = 0
    call 113
    r0 = 0
    exit
.section uprobe/b
sleeps:
    r1 = r10
    r1 += -8
    r2 = 8
    r3 = 0
    call 148
    r0 = 0
    exit
.section tc
socket:
    r1 = *(u64 *)(r1 + 168)
    if r1 == 0 goto s
    r0 = *(u32 *)(r1 + 100)
s:
    r0 = 0
    exit

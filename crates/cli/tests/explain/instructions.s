.section xdp/a
no_result:
    if r1 == 0 goto e
    r0 = 0
e:
    exit
.section xdp/b
not_kept:
    r3 = 7
    call 5
    r0 += r3
    exit
.section xdp/c
never_reached:
    r0 = 0
    exit
    r0 = 1
    exit
.section xdp/d
no_end:
    r0 = 0
.section xdp/e
by_zero:
    r0 = 1
    r0 /= 0
    exit
.section xdp/f
shifted:
    r0 = 1
    r0 <<= 64
    exit
.section xdp/g
frame_pointer:
    r10 = 1
    r0 = 0
    exit
.section xdp/h
endless:
    r0 = 0
l:
    r1 = r1
    goto l

# --caps bpf
.section socket/a
gives_address:
    r0 = r1
    exit
.section socket/b
compares:
    if r1 == 5 goto e
e:
    r0 = 0
    exit
.section socket/c
unwritten:
    r0 = *(u64 *)(r10 - 8)
    exit
.section socket/d
subtracts:
    r2 = 16
    r1 -= r2
    r0 = 0
    exit

# --caps none
.section socket/a
calls:
    call f
    exit
f:
    r0 = 0
    exit
.section socket/b
loops:
    r0 = 0
l:
    r0 += 1
    if r0 < 100 goto l
    exit

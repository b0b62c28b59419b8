// As the conformance suites write it.
mov %r0, 0
mov32 %r1, -1
lddw %r2, 0x1234567890abcdef
ldxw %r3, [%r10-8]
stxdw [%r10-16], %r3
stb [%r10-17], 0x7f
jeq %r1, %r2, lab
jsgt32 %r1, 3, +1
lock fetch_add [%r10-16], %r1
be32 %r3
call 5
lab:
call local func
exit
func:
neg %r0
arsh32 %r0, 5
exit

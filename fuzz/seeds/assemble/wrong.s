.section
r0 = r11
r1 = *(u32 *)(r2 + 99999)
goto nowhere
here: here: r0 =
"text
if r1 goto +
call
r3 <<= 0xffffffffffffffff

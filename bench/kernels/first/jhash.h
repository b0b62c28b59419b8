// Bob Jenkins' hash of three words.
#pragma once

INLINE u32 jhash(u32 a, u32 b, u32 c)
{
    a += 0xdeadbeef;
    b += 0xdeadbeef;
    c += 0xdeadbeef;
    c ^= b;
    c -= rotate32(b, 14);
    a ^= c;
    a -= rotate32(c, 11);
    b ^= a;
    b -= rotate32(a, 25);
    c ^= b;
    c -= rotate32(b, 16);
    a ^= c;
    a -= rotate32(c, 4);
    b ^= a;
    b -= rotate32(a, 14);
    c ^= b;
    c -= rotate32(b, 24);
    return c;
}

// A machine of bytecodes: what each of a thousand bytes does depends on those before it.
#include "../kernel.h"

#ifdef __bpf__
// Keeps clang from turning the cases into a table of selects, which the verifier would follow one by one.
#define BARRIER(value) asm volatile("" : "+r"(value))
#else
#define BARRIER(value)
#endif

INLINE u64 run(u8 *data, u8 *end)
{
    u64 sum = 1;
    u32 state = 0;
    for (int i = 0; i < 1000; i++) {
        u8 *at = data + 64 + i;
        if (at + 1 > end)
            break;
        u32 op = (*at + state) & 15;
        switch (op) {
            case 0: sum += 3; state = 1; break;
            case 1: sum ^= sum >> 3; break;
            case 2: sum *= 5; state += 2; break;
            case 3: sum -= op + i; break;
            case 4: sum = ~sum; state = 7; break;
            case 5: sum |= 0x11; break;
            case 6: sum += sum << 2; state ^= 5; break;
            case 7: sum ^= 0x5555; break;
            case 8: sum += *at; state = 3; break;
            case 9: sum -= 77; break;
            case 10: sum <<= 1; state += 5; break;
            case 11: sum ^= state; break;
            case 12: sum += 1000; state = 0; break;
            case 13: sum &= 0xffffffffffULL; break;
            case 14: sum += state; state++; break;
            default: sum ^= 0x1234567; state += 3; break;
        }
        BARRIER(sum);
    }
    return sum & 0x7fffffff;
}

// A word of eight letters in a text of a kilobyte: Horspool's search.
#include "../kernel.h"

#define WORD 8
#define TEXT 1024

static const u8 word[WORD] = "upstream";
static u8 shift[256];

INLINE u64 run(u8 *data, u8 *end)
{
    u8 *text = data + 54;
    if (text + TEXT > end)
        return 0;
    for (u32 i = 0; i < 256; i++)
        shift[i] = WORD;
    for (u32 i = 0; i < WORD - 1; i++)
        shift[word[i]] = WORD - 1 - i;
    u32 at = 0, found = 0;
    for (u32 tries = 0; tries < 300 && at <= TEXT - WORD; tries++) {
        u8 *here = text + at;
        if (here + WORD > end)
            break;
        u32 same = WORD;
        while (same > 0 && here[same - 1] == word[same - 1])
            same--;
        if (same == 0)
            found += at;
        at += shift[here[WORD - 1]];
    }
    return found;
}

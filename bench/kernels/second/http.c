// The first lines of an HTTP request by a machine of states: method, path, header names, where Content-Length is.
#include "../kernel.h"

enum state { METHOD, PATH, VERSION, LINE, NAME, SPACE, VALUE, NUMBER, DONE };

INLINE u64 run(u8 *data, u8 *end)
{
    u32 state = METHOD, method = 0, path = 0, name = 0, headers = 0, number = 0;
    for (u32 i = 0; i < 512; i++) {
        u8 *at = data + 54 + i;
        if (at + 1 > end || state == DONE)
            break;
        u8 byte = *at;
        switch (state) {
        case METHOD:
            if (byte == ' ')
                state = PATH;
            else
                method = method << 8 | byte;
            break;
        case PATH:
            if (byte == ' ')
                state = VERSION;
            else
                path = path * 33 + byte;
            break;
        case VERSION:
            if (byte == '\n')
                state = LINE;
            break;
        case LINE:
            name = 0;
            if (byte == '\r') {
                state = DONE;
                break;
            }
            state = NAME;
            /* fallthrough */
        case NAME:
            if (byte == ':') {
                state = SPACE;
                headers++;
            } else {
                name = name * 31 + (byte | 0x20);
            }
            break;
        case SPACE:
            if (byte == ' ')
                break;
            state = name == 0xbc7b26ba ? NUMBER : VALUE;
            number = state == NUMBER ? byte - '0' : number;
            break;
        case NUMBER:
            if (byte >= '0' && byte <= '9') {
                number = number * 10 + byte - '0';
                break;
            }
            /* fallthrough */
        case VALUE:
            state = byte == '\n' ? LINE : VALUE;
            break;
        }
    }
    return method ^ path ^ headers << 24 ^ number << 8 ^ state;
}

// 1,360 instructions.
#define BLOCKS BLOCKS8(0) BLOCKS8(8)
#include "big.h"

#define FUZZED format_zlib
#include "one_format.h"

#define FUZZED format_lz4
#include "one_format.h"

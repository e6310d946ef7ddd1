#define FUZZED format_zstd
#include "one_format.h"

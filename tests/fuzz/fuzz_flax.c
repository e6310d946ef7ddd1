#define FUZZED format_flax
#include "one_format.h"

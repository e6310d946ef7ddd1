#define FUZZED format_skops
#include "one_format.h"

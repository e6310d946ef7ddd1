#define FUZZED format_xz
#include "one_format.h"

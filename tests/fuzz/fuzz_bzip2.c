#define FUZZED format_bzip2
#include "one_format.h"

#define FUZZED format_gzip
#include "one_format.h"

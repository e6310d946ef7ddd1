#define FUZZED format_7z
#include "one_format.h"

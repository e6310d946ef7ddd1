#define FUZZED format_coreml
#include "one_format.h"

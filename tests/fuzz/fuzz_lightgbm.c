#define FUZZED format_lightgbm
#include "one_format.h"

#define FUZZED format_npy
#include "one_format.h"

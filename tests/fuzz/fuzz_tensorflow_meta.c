#define FUZZED format_tensorflow_meta
#include "one_format.h"

#define FUZZED format_gguf
#include "one_format.h"

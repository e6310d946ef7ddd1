#define FUZZED format_safetensors
#include "one_format.h"

#define FUZZED format_keras
#include "one_format.h"

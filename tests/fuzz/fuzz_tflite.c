#define FUZZED format_tflite
#include "one_format.h"

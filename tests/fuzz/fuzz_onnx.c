#define FUZZED format_onnx
#include "one_format.h"

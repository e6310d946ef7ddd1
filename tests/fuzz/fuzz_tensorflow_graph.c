#define FUZZED format_tensorflow_graph
#include "one_format.h"

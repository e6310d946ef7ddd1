#define FUZZED format_saved_model
#include "one_format.h"

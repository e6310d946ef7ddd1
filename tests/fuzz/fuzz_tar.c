#define FUZZED format_tar
#include "one_format.h"

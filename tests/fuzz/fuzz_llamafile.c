#define FUZZED format_llamafile
#include "one_format.h"

#define FUZZED format_zip
#include "one_format.h"

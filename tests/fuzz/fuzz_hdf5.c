#define FUZZED format_hdf5
#include "one_format.h"

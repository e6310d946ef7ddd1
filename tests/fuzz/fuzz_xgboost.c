#define FUZZED format_xgboost
#include "one_format.h"

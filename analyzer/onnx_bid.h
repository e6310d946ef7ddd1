/* Is it ONNX? */
#ifndef GUARD_ONNX_BID_H
#define GUARD_ONNX_BID_H

#include "format.h"

unsigned onnx_bid(const struct bid_view *view); /* as format.bid */

#endif

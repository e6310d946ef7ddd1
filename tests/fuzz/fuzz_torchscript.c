/* TorchScript's source has no bid of its own: the zip that it lies in knows its place. */
#include "../../analyzer/zip.h"

static unsigned any(const struct bid_view *view)
{
    (void)view;
    return BID_RUN;
}

static bool run(struct scan *scan, const struct source *source)
{
    torchscript_scan(scan, source);
    return true;
}

static const struct format source_of_script = {"torchscript", any, run};
#define FUZZED source_of_script
#include "one_format.h"

/* 7z is not looked into: no loader reads it, and models in it are unpacked by hand or by a program's own code. Said is
 * so where its name makes it a model (malware was published as a "checkpoint" of this form), or what it lies in. */
#include "format.h"

#include <string.h>

static unsigned bid(const struct bid_view *view)
{
    return view->head_length >= 6 && memcmp(view->head, "7z\xbc\xaf\x27\x1c", 6) == 0 ? 48 : 0;
}

static bool named_as_model(const char *path)
{
    static const char *const ends[] = {
        ".pt", ".pth", ".pt2", ".ckpt", ".bin", ".pkl", ".pickle", ".joblib", ".dill", ".npy", ".npz", ".h5", ".keras",
        ".onnx", ".gguf", ".safetensors", ".nemo", ".mar", ".skops",
    };
    size_t length = path ? strlen(path) : 0;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (length > strlen(ends[i]) && strcmp(path + length - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

static bool run(struct scan *scan, const struct source *source)
{
    const struct scan_request *request = scan->request;
    (void)source;
    if (!scan->model && !request->in_model_root && !request->beside &&
        !named_as_model(scan->member ? scan->member : request->path))
        return false;
    scan_is(scan, "7z");
    scan_opaque(scan, "7z", "7z", 0, "a 7z archive in place of a model");
    return true;
}

const struct format format_7z = {"7z", bid, run};

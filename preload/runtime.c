#define _GNU_SOURCE
#include "runtime.h"

#include "audit.h"

#include <dlfcn.h>
#include <stddef.h>

/* One public symbol of each native loader that reads models without an interpreter. */
static const char *const loaders[] = {
    "llama_model_load_from_file", "llama_load_model_from_file", /* llama.cpp */
    "OrtGetApiBase",                                            /* ONNX Runtime */
    "TF_LoadSessionFromSavedModel", "TfLiteModelCreateFromFile", /* TensorFlow, LiteRT */
    "XGBoosterLoadModel", "LGBM_BoosterCreateFromModelfile",     /* boosted trees */
    "_ZN5torch3jit4loadERKSsN3c108optionalINS3_6DeviceEEE",      /* libtorch before 2.1, old ABI */
    "aoti_torch_get_data_ptr",                                   /* libtorch from 2.1 on */
};

bool runtime_present(void)
{
    if (python_present())
        return true;
    audit_install();
    if (python_present())
        return true;
    for (size_t i = 0; i < sizeof loaders / sizeof loaders[0]; i++)
        if (dlsym(RTLD_DEFAULT, loaders[i]))
            return true;
    return false;
}

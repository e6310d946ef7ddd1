/* A library of custom operators for ONNX Runtime that registers none. When it is loaded it touches the file that MARKER
 * names. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void *RegisterCustomOps(void *options, const void *api);

__attribute__((constructor)) static void loaded(void)
{
    const char *marker = getenv("MARKER");
    if (marker != NULL)
        close(open(marker, O_CREAT | O_WRONLY, 0600));
}

void *RegisterCustomOps(void *options, const void *api)
{
    (void)options, (void)api;
    return NULL;
}

/* Whose file is it? Paths of hub caches and others; and which folders hold a model. */
#include "../../preload/model.h"
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static void identifies(const char *path, const char *id, const char *revision, const char *inside, bool hub)
{
    struct model_identity identity;

    memset(&identity, 0x55, sizeof(identity));
    model_identify(path, &identity);
    if (!unit_ok(strcmp(identity.id, id) == 0 && strcmp(identity.revision, revision) == 0 &&
                     strcmp(identity.inside, inside) == 0 && identity.hub == hub,
                 "%s", path))
        printf("# id %s, revision %s, inside %s, hub %d\n", identity.id, identity.revision, identity.inside,
               identity.hub);
}

static void test_identities(void)
{
    identifies("/c/hub/models--org--name/snapshots/" COMMIT "/unet/x.bin", "hf:org/name", COMMIT, "unet/x.bin", true);
    identifies("/c/hub/models--gpt2/snapshots/" COMMIT "/config.json", "hf:gpt2", COMMIT, "config.json", true);
    identifies("/c//hub/./models--org--name//snapshots/r/f", "hf:org/name", "r", "f", true);
    identifies("/c/models--org--name/snapshots/r/./a//b/./f", "hf:org/name", "r", "a/b/f", true);
    identifies("/c/models--org--name/blobs/abc", "hf:org/name", "", "blobs/abc", true);
    identifies("/c/datasets--org--name/snapshots/r/data.parquet", "hf:datasets/org/name", "r", "data.parquet", true);
    identifies("/c/modules/transformers_modules/org/my_hyphen_name_dot_5/" COMMIT "/m.py", "hf:org/my-name.5", COMMIT,
               "m.py", true);
    identifies("/c/modules/transformers_modules/folder/m.py", "file:/c/modules/transformers_modules/folder", "", "m.py",
               false);
    /* A repository may hold a folder that is named like another's; the path may leave where it seems to lie. */
    identifies("/c/models--evil--x/snapshots/r/models--good--y/snapshots/s/f", "hf:evil/x", "r",
               "models--good--y/snapshots/s/f", true);
    identifies("/c/models--good--y/snapshots/r/../../../evil/f", "file:/c/models--good--y/snapshots/r/../../../evil",
               "", "f", false);
    identifies("/c/models--org--name/other/f", "file:/c/models--org--name/other", "", "f", false);
    identifies("/models/m/model.pt", "file:/models/m", "", "model.pt", false);
    identifies("/model.pt", "file:/", "", "model.pt", false);
    identifies("model.pt", "", "", "model.pt", false);

    identifies("/h/.cache/torch/hub/checkpoints/resnet50-0676ba61.pth", "torchhub:checkpoints/resnet50-0676ba61.pth",
               "", "resnet50-0676ba61.pth", false);
    identifies("/data/hub/checkpoints/run/model.pt", "file:/data/hub/checkpoints/run", "", "model.pt", false);
    identifies("/h/.cache/torch/hub/pytorch_vision_v0.10.0/hubconf.py", "torchhub:pytorch/vision", "v0.10.0",
               "hubconf.py", false);
    identifies("/torch/hub/acme_two_words_main/a/b.pt", "torchhub:acme/two_words", "main", "a/b.pt", false);
    identifies("/torch/hub/plain/b.pt", "file:/torch/hub/plain", "", "b.pt", false);
    identifies("/torch/hub/a__/b.pt", "file:/torch/hub/a__", "", "b.pt", false);
    identifies("/h/.keras/models/vgg16.h5", "keras:vgg16.h5", "", "vgg16.h5", false);
    identifies("/c/kagglehub/models/keras/bert/keras/tiny/3/config.json", "kaggle:keras/bert/keras/tiny", "3",
               "config.json", false);
    identifies("/h/.cache/modelscope/hub/models/Qwen/Qwen2___5-7B/config.json", "ms:Qwen/Qwen2.5-7B", "", "config.json",
               false);
    identifies("/h/.cache/modelscope/hub/Qwen/Qwen/a/b", "ms:Qwen/Qwen", "", "a/b", false);
    identifies("/w/mlruns/0/0123456789abcdef0123456789abcdef/artifacts/model/data/model.pth",
               "mlflow:0123456789abcdef0123456789abcdef/model", "", "data/model.pth", false);
    identifies("/w/mlruns/0/models/m-0123456789abcdef0123456789abcdef/artifacts/model.pkl",
               "mlflow:m-0123456789abcdef0123456789abcdef", "", "model.pkl", false);
    identifies("/w/mlruns/0/models", "file:/w/mlruns/0", "", "models", false);

    char path[2048];
    memset(path, 'a', sizeof(path));
    memcpy(path, "/models--", 9);
    strcpy(path + 1500, "/snapshots/r/f");
    struct model_identity identity;
    model_identify(path, &identity);
    unit_ok(identity.id[0] == '\0' && strcmp(identity.inside, "f") == 0, "a name that does not fit is no name at all");
}

static void make(const char *folder, const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        abort();
    close(fd);
}

static void rooted(const char *folder, const char *path, bool wanted, const char *name)
{
    char whole[512];

    snprintf(whole, sizeof(whole), "%s/%s", folder, path);
    unit_ok(model_in_root(whole) == wanted, "%s", name);
}

static void test_roots(void)
{
    char top[] = "/tmp/guard-test-model-XXXXXX", folder[256], site[300], command[300];

    if (!mkdtemp(top))
        abort();
    snprintf(folder, sizeof(folder), "%s/a", top);
    snprintf(site, sizeof(site), "%s/a/site-packages", top);
    if (mkdir(folder, 0755) < 0 || mkdir(site, 0755) < 0)
        abort();
    make(folder, "config.json");
    make(folder, "data.pkl");
    make(folder, "data.bin");
    make(folder, "data.h5");
    rooted(folder, "config.json", false, "other data makes no model");
    rooted(folder, "adapter_config.json", true, "a config that only models have");
    make(site, "distutils-precedence.pth");
    rooted(site, "package/config.json", false, "lists of paths in site-packages are no weights");
    make(folder, "pytorch_model-00001-of-00002.bin");
    rooted(folder, "config.json", true, "weights beside it");
    rooted(folder, "unet/config.json", true, "weights in the folder above, which is not there itself");
    rooted(folder, "a/b/config.json", false, "weights two folders above");
    rooted(folder, "../config.json", false, "the folder above");
    unit_ok(model_in_root("/nowhere/models--a--b/snapshots/r/config.json"), "a hub cache, whether it is there or not");
    unit_ok(!model_in_root("config.json") && !model_in_root("nowhere/config.json"), "no absolute path");

    char pipeline[256], unet[300], whole[400];
    struct model_identity identity;
    snprintf(pipeline, sizeof(pipeline), "%s/pipeline", top);
    snprintf(unet, sizeof(unet), "%s/unet", pipeline);
    if (mkdir(pipeline, 0755) < 0 || mkdir(unet, 0755) < 0)
        abort();
    snprintf(whole, sizeof(whole), "%s/x.safetensors", unet);
    model_identify(whole, &identity);
    unit_ok(strncmp(identity.id, "file:", 5) == 0 && strcmp(identity.id + 5, unet) == 0, "a folder of its own");
    make(pipeline, "model_index.json");
    model_identify(whole, &identity);
    unit_ok(strcmp(identity.id + 5, pipeline) == 0 && strcmp(identity.inside, "unet/x.safetensors") == 0,
            "a part of a pipeline belongs to the pipeline");
    snprintf(whole, sizeof(whole), "%s/model_index.json", pipeline);
    model_identify(whole, &identity);
    unit_ok(strcmp(identity.id + 5, pipeline) == 0 && strcmp(identity.inside, "model_index.json") == 0,
            "and so does its index");
    unit_ok(model_in_cache("/c/models--o--n/snapshots/r/vocab.txt", &identity) &&
                strcmp(identity.inside, "vocab.txt") == 0 && !model_in_cache("/data/snapshots/vocab.txt", &identity) &&
                !model_in_cache(whole, &identity),
            "whether a file lies in a hub cache is told by its path");

    snprintf(folder, sizeof(folder), "%s/many", top);
    if (mkdir(folder, 0755) < 0)
        abort();
    rooted(folder, "x.json", false, "an empty folder");
    for (unsigned i = 0; i < MODEL_ROOT_ENTRIES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "%u.json", i);
        make(folder, name);
    }
    rooted(folder, "x.json", true, "more names than are looked at may hide weights");
    snprintf(command, sizeof(command), "rm -rf '%s'", top);
    if (system(command) != 0)
        abort();
}

int main(void)
{
    test_identities();
    test_roots();
    return unit_done();
}

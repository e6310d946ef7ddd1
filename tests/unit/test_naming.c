/* Is a model's name written down in a source as a string literal? */
#include "../../preload/naming.h"
#include "unit.h"

#include <string.h>

static void line(const char *text, const char *id, const char *path, bool strict, int wanted)
{
    struct model_identity model = {0};

    strcpy(model.id, id);
    int found = naming_in_source(text, strlen(text), &model, path, strict);
    if (!unit_ok(found == wanted, "%s, %s", id, strtok(strcpy((char[256]){0}, text), "\n")))
        printf("# line %d, not %d\n", found, wanted);
}

int main(void)
{
    const char *hub = "/c/models--org--name/snapshots/r/config.json", *file = "/data/models/base/model.pt";

    line("x = 1\nload(\"org/name\")\n", "hf:org/name", hub, true, 2);
    line("load('org/name'", "hf:org/name", hub, true, 1);
    line("load('org/names')", "hf:org/name", hub, false, 0);
    line("# 'org/name'\n", "hf:org/name", hub, false, 0);
    line("\"\"\"\n'org/name'\n\"\"\"\n'''\"org/name\"'''", "hf:org/name", hub, false, 0);
    line("'it\\'s' 'org/name'", "hf:org/name", hub, false, 1);
    line("'unfinished\n'org/name'", "hf:org/name", hub, false, 2);
    line("load('gpt2')", "hf:gpt2", hub, false, 1);
    line("load('gpt2')", "hf:gpt2", hub, true, 0);
    line("load('base')", "file:/data/models/base", file, false, 1);
    line("load('./models/base/')", "file:/data/models/base", file, true, 1);
    line("load('model.pt')", "file:/data/models/base", file, false, 1);
    line("load('ase')", "file:/data/models/base", file, false, 0);
    line("load('/other/data/models/base')", "file:/data/models/base", file, false, 0);
    line("load('')", "file:/data/models/base", file, false, 0);
    line("'", "hf:org/name", hub, false, 0);
    line("\"\"\"org/name", "hf:org/name", hub, false, 0);
    line("'\\", "hf:org/name", hub, false, 0);
    return unit_done();
}

#include "hint.h"

#include <stdbool.h>

static bool known(const char *text)
{
    return text && text[0] != '\0';
}

void hint_put(struct line *line, const struct hint *hint)
{
    char model[640]; /* an id and a revision, see model.h: half a name would be another name */
    struct line id = {model, sizeof(model), 0};

    line_put(line, "guard policy add --to ");
    line_put_word(line, known(hint->policy) ? hint->policy : "policy.json");
    line_put(line, " ");
    line_put(line, hint->effect);
    line_put(line, " ");
    line_put_word(line, hint->name);
    if (known(hint->model)) {
        line_put(&id, hint->model);
        if (known(hint->revision)) {
            line_put(&id, "@");
            line_put(&id, hint->revision);
        }
        line_put(line, " --model ");
        line_put_word(line, model);
    }
    if (known(hint->sha256)) {
        line_put(line, " --sha256 ");
        line_put(line, hint->sha256);
    }
}

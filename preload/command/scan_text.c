/* guard scan --format text: what, where in the file, why it matters, what to do. */
#include "scan_words.h"

#include "../hint.h"
#include "command.h"

static void text_verdict(const struct scan_options *options, enum scan_verdict verdict, const char *path, FILE *out)
{
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m", "\033[35m"};

    fprintf(out, "%s%-5s%s ", options->colour ? colours[verdict] : "", scan_verdict_name(verdict),
            options->colour ? "\033[0m" : "");
    command_print_visible(out, path);
}

/* Only what is no attack beyond doubt comes with the rule that would allow it. */
static void text_hint(const struct scan_options *options, const struct scan_said *said, const struct finding *finding,
                      FILE *out)
{
    char text[2048];
    struct line line = {text, sizeof(text), 0};
    const struct hint hint = {
        .policy = options->policy_file,
        .effect = effect_kind_name(finding->effect.kind),
        .name = finding->effect.name,
        .model = said->model ? said->model->id : NULL,
        .revision = said->model ? said->model->revision : NULL,
    };

    hint_put(&line, &hint);
    fprintf(out, "        to allow: %s\n", text);
}

static void text_finding(const struct scan_options *options, const struct scan_said *said,
                         const struct finding *finding, FILE *out)
{
    const struct effect *effect = &finding->effect;
    const struct judgement *judgement = &finding->judgement;
    char clause[2048];

    policy_describe(effect, clause, sizeof(clause));
    fprintf(out, "      %s: ", decision_name(judgement->decision));
    command_print_visible(out, clause);
    fprintf(out, " [%s, %s]\n", judgement->rule, judgement->severity);
    fputs("        at ", out);
    if (effect->member) {
        command_print_visible(out, effect->member);
        fputs(", ", out);
    }
    fprintf(out, "byte %llu", (unsigned long long)effect->offset);
    if (judgement->why && judgement->why[0] != '\0') {
        fputs(": ", out);
        command_print_visible(out, judgement->why);
    }
    fputc('\n', out);
    if (judgement->decision == DECISION_DENY && !judgement->attack)
        text_hint(options, said, finding, out);
}

static void text_edge(const struct finding *finding, FILE *out)
{
    const char *target = finding_target(finding);

    fputs("      needs ", out);
    command_print_visible(out, target ? target : "another model, which is named only when it runs");
    if (finding->effect.revision) {
        fputs(" at ", out);
        command_print_visible(out, finding->effect.revision);
    }
    fprintf(out, " (%s, %s)\n", scan_edge_how(finding),
            effect_revision_pinned(finding->effect.revision) ? "pinned" : "not pinned to a commit");
}

void scan_text(const struct scan_options *options, const struct scan_said *said, FILE *out)
{
    const struct judged *judged = said->judged;
    const struct finding *order[JUDGED_FINDINGS];
    bool attack = false;

    if ((judged->scan.format_count == 0 || judged->scan.beside) && said->verdict == VERDICT_ALLOW)
        return;
    if (said->verdict == VERDICT_ERROR) {
        fputs("guard scan: ", stderr);
        command_print_visible(stderr, said->path);
        fprintf(stderr, ": %s\n", said->error);
        return;
    }
    text_verdict(options, said->verdict, said->path, out);
    for (size_t i = 0; i < judged->scan.format_count; i++)
        fprintf(out, "%s%s", i == 0 ? " (" : ", ", judged->scan.formats[i]);
    fputs(judged->scan.format_count > 0 ? ")\n" : "\n", out);
    size_t count = scan_order(judged, order);
    for (size_t i = 0; i < count; i++) {
        attack |= order[i]->judgement.attack && order[i]->judgement.decision == DECISION_DENY;
        if (order[i]->judgement.decision != DECISION_ALLOW)
            text_finding(options, said, order[i], out);
    }
    for (size_t i = 0; i < count; i++)
        if (order[i]->edge)
            text_edge(order[i], out);
    if (judged->omitted > 0)
        fprintf(out, "      and %zu more, none worse\n", judged->omitted);
    if (attack)
        fputs("      do not load it: remove it, and get the model from whom you trust, best as safetensors\n", out);
}

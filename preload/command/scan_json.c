/* guard scan --format json: one object a line and file. */
#include "scan_words.h"

#include "../json_out.h"

static void json_finding(struct json_out *out, const struct finding *finding)
{
    const struct effect *effect = &finding->effect;
    char arguments[4096];

    effect_render_arguments(effect, arguments, sizeof(arguments));
    json_out_object(out, NULL);
    json_out_string(out, "rule", finding->judgement.rule);
    json_out_string(out, "decision", decision_name(finding->judgement.decision));
    json_out_string(out, "severity", finding->judgement.severity);
    json_out_string(out, "effect", effect_kind_name(effect->kind));
    json_out_string(out, "name", effect->name);
    json_out_string(out, "args", effect->argument_count > 0 || effect->argument_known ? arguments : NULL);
    json_out_string(out, "member", effect->member);
    json_out_number(out, "offset", effect->offset > INT64_MAX ? INT64_MAX : (int64_t)effect->offset);
    json_out_string(out, "why", finding->judgement.why);
    json_out_string(out, "field", effect->field);
    json_out_string(out, "detail", effect->detail);
    json_out_close_object(out);
}

void scan_json(const struct scan_said *said, char *line, size_t size, FILE *to)
{
    const struct judged *judged = said->judged;
    const struct finding *order[JUDGED_FINDINGS];
    size_t count = scan_order(judged, order);
    struct json_out out;

    json_out_start(&out, line, size);
    json_out_object(&out, NULL);
    json_out_string(&out, "path", said->path);
    json_out_string(&out, "verdict", scan_verdict_name(said->verdict));
    json_out_array(&out, "format");
    for (size_t i = 0; i < judged->scan.format_count; i++)
        json_out_string(&out, NULL, judged->scan.formats[i]);
    json_out_close_array(&out);
    json_out_array(&out, "findings");
    for (size_t i = 0; i < count; i++)
        if (order[i]->judgement.decision != DECISION_ALLOW)
            json_finding(&out, order[i]);
    json_out_close_array(&out);
    json_out_array(&out, "depends");
    for (size_t i = 0; i < count; i++) {
        if (!order[i]->edge)
            continue;
        json_out_object(&out, NULL);
        json_out_string(&out, "target", finding_target(order[i]));
        json_out_string(&out, "revision", order[i]->effect.revision);
        json_out_string(&out, "how", scan_edge_how(order[i]));
        json_out_bool(&out, "pinned", effect_revision_pinned(order[i]->effect.revision));
        json_out_close_object(&out);
    }
    json_out_close_array(&out);
    if (judged->omitted > 0)
        json_out_number(&out, "omitted", (int64_t)judged->omitted);
    json_out_string(&out, "error", said->error);
    json_out_close_object(&out);
    fprintf(to, "%s\n", line);
}

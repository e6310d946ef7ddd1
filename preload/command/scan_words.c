#include "scan_words.h"

const char *scan_verdict_name(enum scan_verdict verdict)
{
    static const char *const names[] = {"allow", "warn", "deny", "error"};

    return names[verdict];
}

size_t scan_order(const struct judged *judged, const struct finding *order[JUDGED_FINDINGS])
{
    size_t count = 0;

    for (int weight = 2 * DECISION_DENY + 1; weight >= 0; weight--)
        for (size_t i = 0; i < judged->count; i++)
            if (2 * (int)judged->findings[i].judgement.decision + judged->findings[i].judgement.attack == weight)
                order[count++] = &judged->findings[i];
    return count;
}

const char *scan_edge_how(const struct finding *finding)
{
    if (finding->effect.kind == EFFECT_CALL || finding->effect.how == DEPEND_PICKLED)
        return "pickled";
    return finding->effect.how == DEPEND_OBSERVED ? "observed" : "declared";
}

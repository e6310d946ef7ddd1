/* Configs in JSON. */
#include "config_report.h"

static void event_show(struct config *config, const struct json *json)
{
    config->text = json->text;
    config->text_length = json->text_length;
    config->cut = json->cut;
    config->offset = json->offset;
    config->depth = json->depth;
    config->way = &json->way;
}

bool config_json_run(struct scan *scan, const struct source *source, const char *name)
{
    struct config *config = config_open(scan, name, "json");
    struct json *json = config ? arena_take(scan->arena, sizeof(*json)) : NULL;
    enum json_event event;

    if (!json || !json_open(json, scan->arena, source)) {
        scan_failed(scan, SCAN_MEMORY, 0);
        return true;
    }
    event = json_next(json);
    /* A value of any other kind can hold nothing, and text that begins with a number is most often no JSON at all. */
    if (event != JSON_OBJECT && event != JSON_ARRAY && json->error != JSON_ERROR_IO)
        return false;
    for (; event != JSON_FAILED && event != JSON_FINISHED && !scan->stopped; event = json_next(json)) {
        event_show(config, json);
        config_event(config, event);
    }
    event_show(config, json);
    return config_end(config, event, json->error, json->reader.error);
}

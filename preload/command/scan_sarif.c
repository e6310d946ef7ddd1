/* guard scan --format sarif. Workers write one result a line; the parent makes the document of them. */
#define _GNU_SOURCE
#include "scan_sarif.h"

#include "../json_out.h"
#include "../line.h"
#include "command.h"
#include "scan_words.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Every byte of a path may become three of a URI. */
#define URI_SIZE (3 * PATH_MAX + 16)

/* Where relative paths start from: 3.14.14, originalUriBaseIds. */
#define BASE "WORKING_DIRECTORY"

/* RFC 3986: what is not unreserved is percent-encoded. A ':' in a first segment would read as a scheme. */
static void put_uri(char uri[URI_SIZE], const char *scheme, const char *path)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    static const char hex[] = "0123456789ABCDEF";
    size_t length = strlen(strcpy(uri, scheme));

    for (; *path != '\0' && length + 4 < URI_SIZE; path++) {
        unsigned char byte = (unsigned char)*path;
        if (strchr(plain, byte)) {
            uri[length++] = (char)byte;
            continue;
        }
        uri[length++] = '%';
        uri[length++] = hex[byte >> 4];
        uri[length++] = hex[byte & 15];
    }
    uri[length] = '\0';
}

static void artifact_location(struct json_out *out, const char *path)
{
    char uri[URI_SIZE];
    bool piped = strcmp(path, "-") == 0;

    while (strncmp(path, "./", 2) == 0)
        path += 2 + strspn(path + 2, "/");
    put_uri(uri, path[0] == '/' ? "file://" : piped ? "stdin:" : "", piped ? "" : path);
    json_out_object(out, "artifactLocation");
    json_out_string(out, "uri", uri);
    if (path[0] != '/' && !piped)
        json_out_string(out, "uriBaseId", BASE);
    json_out_close_object(out);
}

/* An offset counts from the start of the innermost member, so that only without one it is a region of the file. */
static void location(struct json_out *out, const struct scan_said *said, const struct effect *effect)
{
    json_out_array(out, "locations");
    json_out_object(out, NULL);
    json_out_object(out, "physicalLocation");
    artifact_location(out, said->path);
    if (effect && !effect->member && effect->offset <= INT32_MAX) {
        json_out_object(out, "region");
        json_out_number(out, "byteOffset", (int64_t)effect->offset);
        json_out_close_object(out);
    }
    json_out_close_object(out);
    if (effect && effect->member) {
        json_out_array(out, "logicalLocations");
        json_out_object(out, NULL);
        json_out_string(out, "fullyQualifiedName", effect->member);
        json_out_string(out, "kind", "member");
        json_out_close_object(out);
        json_out_close_array(out);
    }
    json_out_close_object(out);
    json_out_close_array(out);
}

static void message(struct json_out *out, const char *text)
{
    json_out_object(out, "message");
    json_out_string(out, "text", text);
    json_out_close_object(out);
}

/* The rule's own words stand in "properties" until scan_sarif_take() moves them to the rules. */
static void result(struct json_out *out, const struct scan_said *said, const struct finding *finding)
{
    const struct effect *effect = &finding->effect;
    const struct judgement *judgement = &finding->judgement;
    char clause[2048], text[4096];
    struct line line = {text, sizeof(text), 0};

    policy_describe(effect, clause, sizeof(clause));
    line_put(&line, clause);
    if (judgement->why && judgement->why[0] != '\0') {
        line_put(&line, ": ");
        line_put(&line, judgement->why);
    }
    json_out_object(out, NULL);
    json_out_string(out, "ruleId", judgement->rule);
    json_out_string(out, "level", judgement->decision == DECISION_DENY ? "error" : "warning");
    message(out, text);
    location(out, said, effect);
    json_out_object(out, "properties");
    json_out_string(out, "decision", decision_name(judgement->decision));
    json_out_string(out, "severity", judgement->severity);
    json_out_string(out, "effect", effect_kind_name(effect->kind));
    json_out_string(out, "name", effect->name);
    json_out_number(out, "offset", effect->offset > INT64_MAX ? INT64_MAX : (int64_t)effect->offset);
    json_out_string(out, "why", judgement->why);
    json_out_close_object(out);
    json_out_close_object(out);
}

void scan_sarif(const struct scan_said *said, char *line, size_t size, FILE *to)
{
    const struct finding *order[JUDGED_FINDINGS];
    size_t count = scan_order(said->judged, order);
    struct json_out out;

    for (size_t i = 0; i < count; i++) {
        if (order[i]->judgement.decision == DECISION_ALLOW)
            continue;
        json_out_start(&out, line, size);
        result(&out, said, order[i]);
        fprintf(to, "%s\n", line);
    }
    if (said->verdict != VERDICT_ERROR)
        return;
    json_out_start(&out, line, size);
    json_out_object(&out, NULL);
    json_out_string(&out, "level", "error");
    message(&out, said->error);
    location(&out, said, NULL);
    json_out_close_object(&out);
    fprintf(to, "%s\n", line);
}

/* What code scanning services sort by: CVSS-like, https://docs.github.com/en/code-security, "security-severity". */
static const char *security_severity(const char *severity)
{
    static const struct { const char *name, *score; } scores[] = {
        {"critical", "9.5"}, {"high", "8.0"}, {"medium", "5.5"}, {"low", "3.0"}};

    for (size_t i = 0; severity && i < sizeof(scores) / sizeof(*scores); i++)
        if (strcmp(severity, scores[i].name) == 0)
            return scores[i].score;
    return "0.0";
}

static const char *string_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static void rule_take(struct scan_sarif *log, const cJSON *from)
{
    const char *id = string_of(from, "ruleId");
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(from, "properties"), *known;
    const char *why = string_of(properties, "why");

    cJSON_ArrayForEach(known, log->rules)
        if (strcmp(string_of(known, "id"), id) == 0)
            return;
    cJSON *rule = cJSON_CreateObject();
    cJSON_AddStringToObject(rule, "id", id);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(rule, "shortDescription"), "text", why && why[0] ? why : id);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(rule, "defaultConfiguration"), "level", string_of(from, "level"));
    cJSON_AddStringToObject(cJSON_AddObjectToObject(rule, "properties"), "security-severity",
                            security_severity(string_of(properties, "severity")));
    cJSON_AddItemToArray(log->rules, rule);
}

void scan_sarif_open(struct scan_sarif *log, FILE *out)
{
    *log = (struct scan_sarif){.out = out, .rules = cJSON_CreateArray(), .errors = cJSON_CreateArray()};
    fputs("{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\","
          "\"runs\":[{\"results\":[",
          out);
}

void scan_sarif_take(struct scan_sarif *log, const char *text, size_t length)
{
    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        size_t line = end ? (size_t)(end - text) : length;
        cJSON *object = cJSON_ParseWithLength(text, line);
        if (string_of(object, "ruleId")) {
            fprintf(log->out, "%s\n%.*s", log->comma ? "," : "", (int)line, text);
            log->comma = true;
            rule_take(log, object);
        } else if (object) {
            cJSON_AddItemToArray(log->errors, object);
            object = NULL;
        }
        cJSON_Delete(object);
        line += end != NULL;
        text += line;
        length -= line;
    }
}

static void print_member(FILE *out, const char *before, cJSON *value)
{
    char *text = cJSON_PrintUnformatted(value);

    fprintf(out, "%s%s", before, text ? text : "[]");
    free(text);
}

void scan_sarif_close(struct scan_sarif *log)
{
    char *folder = getcwd(NULL, 0), uri[URI_SIZE];
    bool complete = cJSON_GetArraySize(log->errors) == 0;

    fputs("\n],\"tool\":{\"driver\":{\"name\":\"guard\",\"version\":\"" GUARD_VERSION "\"", log->out);
    print_member(log->out, ",\"rules\":", log->rules);
    fprintf(log->out, "}},\"invocations\":[{\"executionSuccessful\":%s", complete ? "true" : "false");
    print_member(log->out, ",\"toolExecutionNotifications\":", log->errors);
    fputs("}]", log->out);
    if (folder) {
        put_uri(uri, "file://", folder);
        fprintf(log->out, ",\"originalUriBaseIds\":{\"" BASE "\":{\"uri\":\"%s%s\"}}", uri,
                strcmp(folder, "/") == 0 ? "" : "/");
    }
    fputs("}]}\n", log->out);
    free(folder);
    cJSON_Delete(log->rules);
    cJSON_Delete(log->errors);
}

/* What PyTorch, and numpy's savez, make of the members of a zip.
 *
 * Facts: torch/serialization.py (_load, _is_torchscript_zip), torch/package/package_importer.py,
 * torch/export/pt2_archive/constants.py, numpy's NpzFile.
 * PyTorch's reader takes the part of the first member's name before '/' for the archive's name and finds every record
 * below it; storages are records data/0, data/1 ... (constants/ in TorchScript, .data/0.storage in packages) that
 * become tensors' memory as they are. */
#include "zip.h"

#include <string.h>

bool zip_name_ends(const struct zip_entry *entry, const char *end)
{
    size_t length = strlen(end);
    return entry->name_length >= length && memcmp(entry->name + entry->name_length - length, end, length) == 0;
}

/* The part of the name inside the archive's folder, or NULL. */
static const char *name_record(const struct zip_names *names, const struct zip_entry *entry, size_t *length)
{
    if (names->archive_length == 0 || entry->name_length <= names->archive_length ||
        memcmp(entry->name, names->archive, names->archive_length) != 0 || entry->name[names->archive_length] != '/')
        return NULL;
    *length = entry->name_length - names->archive_length - 1;
    return (const char *)entry->name + names->archive_length + 1;
}

static bool record_is(const char *record, size_t length, const char *name)
{
    return record && length == strlen(name) && memcmp(record, name, length) == 0;
}

void zip_names_see(struct zip_names *names, const struct zip_entry *entry)
{
    if (!names->first_seen) {
        const unsigned char *slash = memchr(entry->name, '/', entry->name_length);
        size_t before = slash ? (size_t)(slash - entry->name) : 0;
        names->first_seen = true;
        if (before <= sizeof names->archive) {
            memcpy(names->archive, entry->name, before);
            names->archive_length = before;
        }
    }
    size_t length = 0;
    const char *record = name_record(names, entry, &length);
    if (record_is(record, length, "data.pkl"))
        names->data = true;
    else if (record_is(record, length, "constants.pkl"))
        names->constants = true;
    else if (record_is(record, length, ".data/extern_modules"))
        names->package = true;
    else if (zip_name_ends(entry, "/data.pkl") || zip_name_ends(entry, "/constants.pkl"))
        names->elsewhere = true;
    else if (zip_name_ends(entry, ".npy"))
        names->arrays = true;
    names->manifest |= entry->name_length == 21 && zip_name_ends(entry, "MAR-INF/MANIFEST.json");
    names->python |= zip_name_ends(entry, ".py");
    names->exported |= record_is(record, length, "archive_format") ||
                       zip_name_ends(entry, "serialized_exported_program.json");
}

enum zip_kind zip_names_kind(const struct zip_names *names)
{
    if (names->package)
        return ZIP_PACKAGE;
    if (names->constants)
        return ZIP_TORCHSCRIPT;
    if (names->data || names->elsewhere)
        return ZIP_TORCH;
    if (names->exported)
        return ZIP_EXPORTED;
    if (names->manifest)
        return ZIP_SERVED;
    return names->arrays ? ZIP_NPZ : ZIP_PLAIN;
}

/* Is `record` FOLDER, then digits, then END? Other keys than numbers are possible, but PyTorch writes none, and
 * exported programs keep real pickles below data/ too. */
static bool record_numbered(const char *record, size_t length, const char *folder, const char *end)
{
    size_t before = strlen(folder), after = strlen(end);
    if (length <= before + after || memcmp(record, folder, before) != 0 ||
        memcmp(record + length - after, end, after) != 0)
        return false;
    for (size_t i = before; i < length - after; i++)
        if (record[i] < '0' || record[i] > '9')
            return false;
    return true;
}

bool zip_names_storage(const struct zip_names *names, const struct zip_entry *entry)
{
    size_t length = 0;
    const char *record = name_record(names, entry, &length);
    if (!record || entry->renamed)
        return false;
    return (names->data && record_numbered(record, length, "data/", "")) ||
           (names->constants && record_numbered(record, length, "constants/", "")) ||
           (names->package && record_numbered(record, length, ".data/", ".storage"));
}

bool zip_names_script(const struct zip_names *names, const struct zip_entry *entry)
{
    size_t length = 0;
    const char *record = name_record(names, entry, &length);
    return names->constants && record && length > 5 && memcmp(record, "code/", 5) == 0 && zip_name_ends(entry, ".py");
}

/* The zip container, shared by the files that read it: zip_directory.c (where members are said to be), zip_member.c
 * (one member), zip_lzma.c (a method that needs help), zip_chain.c (several in a row), torch_zip.c (what PyTorch makes
 * of them), zip.c (the format).
 *
 * Facts: PKWARE's APPNOTE.TXT; CPython's zipfile.py (used by numpy); miniz (used by torch.load and torch.jit.load),
 * whose behaviour was observed through torch._C.PyTorchFileReader. */
#ifndef GUARD_ZIP_H
#define GUARD_ZIP_H

#include "name_set.h"
#include "unpack.h"
#include "reader.h"

/* One way to find the central directory. */
struct zip_reading {
    uint64_t directory; /* offset of the first central header */
    uint64_t length;    /* bytes of the directory */
    uint64_t base;      /* added, modulo 2^64, to every member's offset: zipfile makes up for bytes in front this way */
    uint64_t entries;   /* as the end record counts them */
};
/* An end record gives at most two readings from its own fields and two from each of two zip64 records. */
#define ZIP_READINGS 8

/* What is wrong with the archive as a whole, or with a member: readers would disagree. Bits, each with one token. */
enum zip_fault {
    ZIP_FAULT_ENDS = 1u << 0,         /* an end record inside the directory or comment of the last one */
    ZIP_FAULT_DIRECTORIES = 1u << 1,  /* one end record, several directories */
    ZIP_FAULT_COUNT = 1u << 2,        /* the directory holds more or fewer members than counted */
    ZIP_FAULT_DIRECTORY = 1u << 3,    /* a central header is damaged */
    ZIP_FAULT_PREFIX = 1u << 4,       /* other bytes come before the first member */
    ZIP_FAULT_DUPLICATE = 1u << 5,    /* one name, several members */
    ZIP_FAULT_NAME = 1u << 6,         /* local and central names differ, or the name changes with the reader */
    ZIP_FAULT_FLAGS = 1u << 7,        /* encryption flags differ */
    ZIP_FAULT_METHOD = 1u << 8,       /* compression methods differ */
    ZIP_FAULT_SIZE = 1u << 9,         /* sizes differ from each other or from the data */
    ZIP_FAULT_CRC = 1u << 10,         /* checksums differ, or do not fit the data */
    ZIP_FAULT_LOCAL = 1u << 11,       /* there is no local header where the directory says */
    ZIP_FAULT_TRUNCATED = 1u << 12,   /* the data run past the end of the file */
    ZIP_FAULT_OVERLAP = 1u << 13      /* members share their data */
};
#define ZIP_FAULTS 14

/* Finds the end records and every distinct plausible directory they lead to. `faults` receives ZIP_FAULT_ENDS and
 * ZIP_FAULT_DIRECTORIES. Returns the count, 0 when there is none (or no memory: scan->stopped). */
unsigned zip_find_readings(struct scan *scan, const struct source *source, struct zip_reading readings[ZIP_READINGS],
                           unsigned *faults);

/* Is there an end record anywhere where readers look for one, which is 64 KB from the end on? `fits`: with a comment
 * that reaches to the end, because something else may hold a zip near its end. */
bool zip_has_end(struct scan *scan, const struct source *source, bool fits);

/* How readers that make up for bytes in front read the archive whose end record, without a comment, ends at `stop`.
 * False: none ends there. */
bool zip_reading_before(const struct source *source, uint64_t stop, struct zip_reading *reading);

/* Does `source` hold nothing but archives in a row, as torch.distributed.checkpoint writes them? Then each is one for
 * itself, and zip_chain_next tells from where on the one before `stop` lies, from source->size down to 0. */
bool zip_chain_is(const struct source *source);
uint64_t zip_chain_next(const struct source *source, uint64_t stop);

/* A streamed source whose end, from the first directory on, is kept in memory: directory and members are read in turn,
 * and going back and forth would unpack the whole each time. */
struct zip_spool {
    const struct source *whole;
    uint64_t start;
    unsigned char *bytes;
    size_t length;
};
#define ZIP_SPOOL_MAX (4u << 20) /* a directory of some 50,000 members */

/* Keeps the end of `source` if it is streamed and small enough; returns the source to go on with. */
struct source zip_spool_source(struct zip_spool *spool, struct scan *scan, const struct source *source,
                               const struct zip_reading *readings, unsigned count);

/* One member as the central directory describes it. */
struct zip_entry {
    const unsigned char *name; /* not NUL-terminated; valid until the next entry is read */
    size_t name_length;
    uint16_t flags, method;
    uint32_t crc;
    uint64_t packed, unpacked; /* sizes */
    uint64_t header;           /* offset of the local header in the source */
    bool renamed;              /* an extra field gives another name (Info-ZIP's Unicode path, which zipfile follows) */
};
#define ZIP_ENCRYPTED 0x2041u  /* flags: encrypted, strongly, or local header masked */
#define ZIP_DESCRIPTOR 0x0008u /* flags: sizes and checksum follow the data */
#define ZIP_TERMINATED 0x0002u /* flags: LZMA's stream ends with a marker */
/* Methods. PyTorch's miniz reads the first two, zipfile all but Xz (Zstandard from Python 3.14 on). */
#define ZIP_STORED 0u
#define ZIP_DEFLATED 8u
#define ZIP_BZIP2 12u
#define ZIP_LZMA 14u
#define ZIP_ZSTD 93u
#define ZIP_XZ 95u

/* A member packed with LZMA, as an lzma file. */
struct zip_lzma {
    const struct source *packed;
    uint64_t start; /* of the stream */
    unsigned char header[13];
    struct source source;
};

/* Makes lzma->source of the packed bytes [start, stop); `unpacked` is their size, SOURCE_SIZE_UNKNOWN if a marker ends
 * them. False: they do not begin as such members do. `lzma` must stay where it is. */
bool zip_lzma_open(struct zip_lzma *lzma, const struct source *packed, uint64_t start, uint64_t stop,
                   uint64_t unpacked);

/* A walk over one directory. */
struct zip_walk {
    struct reader reader;
    uint64_t base;
    uint64_t seen;
    bool damaged; /* it ended before its stated length, at something that is no central header */
    unsigned char *name, *extra;
};
#define ZIP_FIELD_MAX 65535u /* a 16-bit length */

/* False: no memory (scan->stopped). */
bool zip_walk_open(struct zip_walk *walk, struct scan *scan, const struct source *source,
                   const struct zip_reading *reading);
bool zip_walk_next(struct zip_walk *walk, struct zip_entry *entry);

/* The 64-bit values that an extra field (tag 1) holds in place of those in the 32-bit fields that are all ones. Each
 * pointer may be NULL; order is that of the field. */
void zip_extra_sizes(const unsigned char *extra, size_t length, uint64_t *unpacked, uint64_t *packed, uint64_t *header);

/* What kind of model an archive is, from its names. */
enum zip_kind { ZIP_PLAIN, ZIP_NPZ, ZIP_SERVED, ZIP_EXPORTED, ZIP_TORCH, ZIP_TORCHSCRIPT, ZIP_PACKAGE };
struct zip_names {
    char archive[256]; /* the part before '/' of the first name, which is how PyTorch finds the rest */
    size_t archive_length; /* 0: there is none, or it is longer than any file name */
    bool first_seen;
    bool data;      /* ARCHIVE/data.pkl */
    bool constants; /* ARCHIVE/constants.pkl */
    bool package;   /* ARCHIVE/.data/extern_modules */
    bool elsewhere; /* X/data.pkl below another name */
    bool arrays;    /* X.npy */
    bool manifest;  /* MAR-INF/MANIFEST.json: TorchServe's archive of a model and the Python that serves it */
    bool python;    /* X.py */
    bool exported;  /* ARCHIVE/models/X.json, or serialized_exported_program.json: what torch.export writes */
};

/* Takes note of one member's name. */
void zip_names_see(struct zip_names *names, const struct zip_entry *entry);
enum zip_kind zip_names_kind(const struct zip_names *names);

/* Is the member one that PyTorch maps as the raw bytes of a tensor, and never unpickles? */
bool zip_names_storage(const struct zip_names *names, const struct zip_entry *entry);

/* Is the member TorchScript source? */
bool zip_names_script(const struct zip_names *names, const struct zip_entry *entry);

/* Does the member's name end so? */
bool zip_name_ends(const struct zip_entry *entry, const char *end);

/* The archive under analysis. */
struct zip_archive {
    struct scan *scan;
    const struct source *source;
    enum zip_kind kind;
    const char *format; /* by which effects are reported */
    bool found;         /* something inside bid */
};

/* What a member is read as. */
enum zip_use {
    ZIP_USE_CONTENT, /* whatever bids */
    ZIP_USE_SCRIPT,  /* TorchScript source */
    ZIP_USE_CONFIG   /* a model's config, after it did not bid */
};

/* Is the archive known to be a model, so that what cannot be read or is ambiguous must be said? */
static inline bool zip_is_model(const struct zip_archive *archive)
{
    return archive->kind != ZIP_PLAIN || archive->scan->model;
}

/* Reports every fault in `faults` as malformed. */
void zip_report_faults(struct zip_archive *archive, unsigned faults, uint64_t offset);

/* Analyses one member in all its readings. Returns whether it was what it is read as. */
bool zip_member_scan(struct zip_archive *archive, const struct zip_entry *entry, enum zip_use use);

/* Reports file accesses written in the TorchScript source `source`. */
void torchscript_scan(struct scan *scan, const struct source *source);

#endif

/* Every cap of the analyzer, each with its reason. Reaching one is an effect (opaque or malformed), never silence. */
#ifndef GUARD_LIMITS_H
#define GUARD_LIMITS_H

/* Enough to name a file or a command in a message; longer strings are cut for display and matched by their start. */
#define LIMIT_ARGUMENT_TEXT 256
/* Arguments reported of one call; benign reducers take at most 7 (torch._utils._rebuild_tensor_v3). */
#define LIMIT_ARGUMENTS 16
/* Longest "module.name" taken for a name; CPython's and torch's longest are under 200. */
#define LIMIT_NAME 1024
/* Zip in gzip in pickle in ...: real models nest 3 deep (tar.gz holding a zip holding a pickle). */
#define LIMIT_NESTING 8
/* Bytes decompressed in one scan, all members together. Of a step the larger of what goes in and what comes
 * out counts. */
#define LIMIT_UNPACKED (1ull << 30)
/* Memory of decompressors that is really used: as much of their windows as was unpacked into them. It comes on top of
 * LIMIT_ARENA, because a stream refers back as far as its window reaches, and whoever loads the file takes the same:
 * `xz -9` has a window of 64 MB, zstd --ultra -22 one of 128 MB; going back takes a second decompressor. */
#define LIMIT_UNPACK_MEMORY (160u << 20)
/* The window through which a source is read. */
#define LIMIT_WINDOW (64u << 10)
/* How much of the window stays behind when it moves on, so that what was just read can be looked at again. */
#define LIMIT_HISTORY (8u << 10)
/* What a reader can show in one piece. */
#define LIMIT_PEEK (LIMIT_WINDOW - LIMIT_HISTORY)
/* Memory of one scan beyond the stack and memo of a pickle. */
#define LIMIT_ARENA (16u << 20)
/* Stack and memo entries of one pickle machine (8 bytes each). A 23 MB opcode-dense pickle has about 3 million. */
#define LIMIT_PICKLE_ENTRIES (64u << 20)
/* Entries of a memo whose indexes leave gaps; picklers count up from 0, so these are somebody's hand. */
#define LIMIT_PICKLE_SPARSE (64u << 10)
/* Items kept of one tuple. Argument tuples hold a handful; of longer ones the rest counts as handed to whatever is
 * called. */
#define LIMIT_PICKLE_TUPLE 1024u
/* Items kept of one list or dict for display; state dicts of reducers that matter here hold six pairs. */
#define LIMIT_PICKLE_SAMPLE 32u
/* 8-byte items of all tuples and samples remembered: the newest win. Twice: without names in them, and with. */
#define LIMIT_PICKLE_RING (128u << 10)
/* Names remembered to lie in lists, dicts, sets and objects. */
#define LIMIT_PICKLE_LINKS (64u << 10)
/* Containers and objects of which one bit is kept (8 MB). */
#define LIMIT_PICKLE_IDS (64u << 20)
/* How deep and how long names are looked for in nested containers; past it every name of the stream counts. */
#define LIMIT_PICKLE_DEPTH 16u
#define LIMIT_PICKLE_STEPS 4096u
/* Pickled bytes handed to calls and found to be models themselves, in one stream. */
#define LIMIT_PICKLE_NESTED (64u << 10)
/* Other bytes behind a pickle that are searched for a further one; it takes a second or less. Behind what may well be
 * text, as it only began like a pickle, a thousandth of that. */
#define LIMIT_PICKLE_GAP (1u << 30)
#define LIMIT_PICKLE_GAP_TEXT (1u << 20)
/* Storages of one checkpoint in PyTorch's old format that are told apart; the largest have some 10,000. */
#define LIMIT_LEGACY_STORAGES (64u << 10)
/* Opcodes executed, all in all, of what began like a pickle among other bytes and proved to be none. Of random bytes
 * few begin so, and those end after a handful. */
#define LIMIT_PICKLE_DOUBTS (16u << 20)
/* Members of one archive; the largest sharded torch checkpoints have some 10,000 storages. */
#define LIMIT_MEMBERS 1000000u
/* Configs of one archive, and folders in it that hold models, which are remembered. Models have some ten of the one and
 * one or two of the other; whole caches are packed too. */
#define LIMIT_MEMBER_CONFIGS 1024u
/* The header of one .npy: numpy reads 10,000 bytes unless told to trust the file; a type with 10,000 fields takes 400
 * KB. */
#define LIMIT_NPY_HEADER (1u << 20)
/* JSON nesting; Python's json module raises RecursionError near 1000. */
#define LIMIT_JSON_DEPTH 1000u
/* A JSON text that is still looked at as a config. The largest that libraries read whole (tokenizer.json of a big
 * vocabulary) have some 35 MB; data sets written as JSON lie in model folders too, and would take seconds. */
#define LIMIT_CONFIG (64u << 20)
/* Objects within objects of a config that wait for a "revision" or a class beside what they name; real ones nest 2. */
#define LIMIT_CONFIG_PAIRS 8u
/* Anchors of one YAML document that are remembered; recipes written with care have a dozen. */
#define LIMIT_YAML_ANCHORS 256u
/* %TAG lines of one YAML text; real ones have none or one. */
#define LIMIT_YAML_HANDLES 16u
/* Parts of the name of a section in spaCy's configs; real ones have four. */
#define LIMIT_INI_DEPTH 32u
/* The way to a value in a config, as messages show it. */
#define LIMIT_FIELD 512
/* Metadata of a GGUF file that are walked through. Vocabularies and merges of the largest have some 20 MB. */
#define LIMIT_GGUF_METADATA (256u << 20)
/* Keys of a GGUF file compared with each other; models have some 60. */
#define LIMIT_GGUF_KEYS 1024u
/* Arrays within arrays of a GGUF file; models have none. */
#define LIMIT_GGUF_DEPTH 8u
/* Fields of a protobuf message, all levels together. ONNX and TensorFlow graphs of large models have some millions. */
#define LIMIT_PROTOBUF_FIELDS (32u << 20)
/* Messages within messages; protobuf's parsers refuse more. */
#define LIMIT_PROTOBUF_DEPTH 100u
/* Functions that an ONNX file defines, and operators from other domains that are told apart; exporters
 * write hundreds. */
#define LIMIT_ONNX_NAMES 8192u
/* Object headers of an HDF5 file that are visited. Keras writes some per layer; the largest collections of data hold
 * more. */
#define LIMIT_HDF5_OBJECTS (1u << 17)
/* Headers, nodes, links and attributes of an HDF5 file, each of which costs a read. */
#define LIMIT_HDF5_STEPS (4u << 20)
/* Trees within trees of an HDF5 file; each level multiplies what fits by the hundred. */
#define LIMIT_HDF5_DEPTH 16u
/* Bytes looked at of one link or attribute message. Their lengths have 16 bits, but for huge ones kept elsewhere. */
#define LIMIT_HDF5_MESSAGE (64u << 10)
/* Texts looked into of one attribute that is an array of them. */
#define LIMIT_HDF5_TEXTS 1024u
/* A PyTorch module within a Keras config, which has to be decoded in memory. */
#define LIMIT_KERAS_MODULE (4u << 20)
/* Constant texts of one TensorFlow graph or function that are remembered, and operators that wait for one. */
#define LIMIT_GRAPH_NAMES 128u
/* Graphs and models in the texts of one TensorFlow graph that are looked into; real ones have none. */
#define LIMIT_GRAPH_NESTED 1024u
/* Names in a safetensors header that are told apart; the largest models have some 50,000 tensors a file. */
#define LIMIT_SAFETENSORS_NAMES (1u << 18)
/* Values of a Flax checkpoint. The largest hold some 10,000 arrays, with as many names. */
#define LIMIT_FLAX_ITEMS (8u << 20)
/* How far lines are looked for that a .pth file has executed; real ones have a few lines. */
#define LIMIT_PATH_FILE (1u << 20)

#endif

#!/usr/bin/env python3
"""Makes seeds for fuzzers and damage: one small file of every kind that guard reads. Standard library only.

    make_corpus.py FOLDER

Nothing here is ever loaded by a test, and what the pickles would call is `id`.
"""

import bz2
import collections
import datetime
import decimal
import gzip
import io
import json
import lzma
import os
import pathlib
import pickle
import struct
import sys
import tarfile
import zipfile
import zlib


class Calls:
    """A pickle of it calls os.system."""

    def __reduce__(self):
        return os.system, ("id",)


class Plain:
    def __init__(self):
        self.name, self.values = "plain", [1, 2.5, None, True]


def values():
    shared = ["shared"]
    return {"text": "abc\u0000\u00e9\U0001f600", "bytes": bytes(range(256)),
            "numbers": [0, -1, 255, 65536, 1 << 70, 1e300],
            "nested": [[[()]], {"a": {1, 2}}, frozenset("xy")], "again": [shared, shared],
            "time": datetime.datetime(2020, 1, 2),
            "decimal": decimal.Decimal("1.5"), "ordered": collections.OrderedDict(a=1), "long": "x" * 300}


def npy(header, body):
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def torch_zip(stream, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", stream)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data/0", bytes(64))
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


SCRIPT = b"""class M(Module):
  def forward(self: __torch__.a.b.c.d.M, x: __torch__.torch.classes.mine.Box) -> Tensor:
    y = torch.from_file("/etc/x", False, 10)
    ops.aten.save(ops.mine.shell(x, y), "out")  # torch.save(
    t = ops.mine
    return (self).a.b.c.d.e.f(^Python(1)(y), 1 ^ 2)
"""


def torchscript():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        archive.writestr("m/code/__torch__.py", SCRIPT)
        archive.writestr("m/constants.pkl", b"\x80\x02).")
        archive.writestr("m/version", "3\n")
    return buffer.getvalue()


def tar(members, mode):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def proto(*fields):
    """A protobuf message of (number, value): int, str, bytes, or a message made the same way."""
    def varint(value):
        out = b""
        while value > 127:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        return out + bytes([value])

    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def onnx():
    tensor = proto((1, 4), (2, 1), (8, "w"), (13, proto((1, "location"), (2, "../w.bin"))), (14, 1))
    inner = proto((1, proto((1, "x"), (2, "y"), (4, "Constant"), (5, proto((1, "value"), (5, tensor))))), (2, "inner"))
    node = proto((1, "x"), (2, "y"), (4, "If"), (5, proto((1, "then_branch"), (6, inner))), (7, "not.known"))
    graph = proto((1, proto((1, "x"), (2, "y"), (4, "Relu"))), (1, node), (2, "main"), (5, tensor),
                  (11, proto((1, "x"))))
    function = proto((1, "F"), (7, proto((1, "a"), (2, "b"), (4, "Relu"))), (10, "local"))
    return proto((1, 9), (2, "by hand"), (7, graph), (8, proto((1, ""), (2, 17))), (25, function))


def saved_model():
    constant = proto((1, "c"), (2, "Const"), (5, proto((1, "value"), (2, proto((8, proto((8, "/etc/x"))))))))
    read, save = proto((1, "r"), (2, "ReadFile"), (3, "c:output:0")), proto((1, "s"), (2, "SaveV2"), (3, "i"))
    printing = proto((1, "p"), (2, "PrintV2"), (5, proto((1, "output_stream"), (2, proto((2, "file:///x"))))))
    function = proto((1, proto((1, "__inference_1"))), (3, read), (3, constant), (3, save))
    graph = proto((1, proto((1, "x"), (2, "Placeholder"))), (1, proto((1, "i"), (2, "Identity"), (3, "x"))),
                  (1, printing),
                  (2, proto((1, function))))
    meta = proto((1, proto((4, "serve"), (5, "2.15.0"))), (2, graph), (6, proto((2, "../asset"))))
    asset = proto((1, proto((1, "c:0"))), (2, "words.txt"))
    table = proto((1, "t"), (2, "InitializeTableFromTextFileV2"), (3, "x"), (3, "c"))
    saver = proto((1, "q"), (2, "StatefulPartitionedCall"), (3, "x"),
                  (5, proto((1, "f"), (2, proto((10, proto((1, "__inference__traced_save_1"))))))))
    operators = proto((1, proto((1, "Add"))), (1, proto((1, "Const"))))
    old = proto((1, proto((2, operators))), (2, graph + proto((1, constant), (1, table), (1, saver))),
                (4, proto((1, "saved_model_assets"), (2, proto((5, proto((1, proto((2, asset))))))))))
    return proto((1, 1), (2, meta)), graph, old


KERAS = {"module": "keras", "class_name": "Sequential", "keras_version": "3.5", "config": {"layers": [
    {"module": "keras.layers", "class_name": "Lambda",
     "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wAA"}}}},
    {"module": "posix", "class_name": "function", "config": "system"},
    {"class_name": "TFSMLayer", "config": {"filepath": "/x"}},
    {"class_name": "TorchModuleWrapper", "config": {"module": "Y29zCnN5c3RlbQooUydpZCcKdFIu"}},
    {"class_name": "StringLookup", "config": {"vocabulary": "/etc/x"}}]}}


def flax():
    """{"params": {"w": array, "note": bytes}, "step": scalar}."""
    array = b"\x93\x91\x02\xa7float32\xc4\x08" + bytes(8)
    inner = b"\xc7" + bytes([len(array), 1]) + array
    return b"\x82\xa6params\x82\xa1w" + inner + b"\xa4note\xc4\x04abcd\xa4step\xc7" + bytes([len(array), 3]) + array


def coreml():
    feature = proto((1, "x"), (2, "an input"), (3, proto((1, b""))))
    description = proto((1, feature), (10, feature), (11, "x"), (100, proto((1, "a model"))))
    return proto((1, 4), (2, description), (500, proto((1, b"abc"))))


def xgboost_binary():
    def text(value):
        return struct.pack("<Q", len(value)) + value
    return bytes(136) + text(b"binary:logistic") + text(b"gbtree") + bytes(200)


LIGHTGBM = b"""tree
version=v4
num_class=1
tree_sizes=15

Tree=0
leaf=1

end of trees

parameters:
[data: ../train.csv]
[machines: 10.0.0.1:80]
end of parameters

pandas_categorical:null
"""


YAML = """# comment
a: &a {_target_: os.system, "\\x5ftarget_": [1, *b]}
? |-
  _target_
: >+
  folded

  text
b:
- - c: 'it''s'
  - &b "two\\
    lines"
<<: *a
z: (1, !!python/name:os.system)
--- [x: y, ? z]
"""


def hdf5():
    """A root with an attribute, two links and a dataset whose parts lie elsewhere; object headers of both versions."""
    def message(kind, body):
        return struct.pack("<BHB", kind, len(body), 0) + body

    text = json.dumps(KERAS).encode()
    attribute = struct.pack("<BBHHHB", 3, 0, 13, 8, 4,
                            0) + b"model_config\0" + struct.pack("<III", 0x13, len(text), 2) + text
    link = struct.pack("<BBBB", 1, 8, 64, 1) + b"n" + struct.pack("<HB", 12, 0) + b"other.h5\0/x\0"
    hard = struct.pack("<BBB", 1, 0, 1) + b"d" + struct.pack("<Q", 2048)
    body = message(12, attribute) + message(6, link) + message(6, hard)
    root = b"OHDR" + struct.pack("<BBH", 2, 1, len(body)) + body + bytes(4)
    block = b"\x89HDF\r\n\x1a\n" + struct.pack("<BBBBQQQQI", 2, 8, 8, 0, 0, 2 ** 64 - 1, 4096, 48, 0)
    everything = struct.pack("<IIQ", 3, 1, 0)
    parts = struct.pack("<BQ", 0, 1) + b"parts.h5\0d\0" + 2 * everything
    dataset = struct.pack("<HHIII", 1, 1, 1, 24, 0) + struct.pack("<HHI", 8, 16,
                                                                  0) + struct.pack("<BBQIH", 4, 3, 2304, 1, 0)
    heap = b"GCOL" + struct.pack("<IQHHIQ", 1, 4096 - 2304, 1, 0, 0, len(parts)) + parts
    return (block.ljust(48, b"\0") +
            root).ljust(2048, b"\0") + dataset.ljust(256, b"\0") + heap.ljust(4096 - 2304, b"\0")


# What the standard library cannot write: a pickle that calls os.system("id").
LZ4 = bytes.fromhex("04224d18684022000000000000002e22000080800263706f7369780a"
                    "73797374656d0a71005802000000696471018571025271032e00000000")
ZSTD = bytes.fromhex("28b52ffd2022110100800263706f7369780a73797374656d0a71005802000000696471018571025271032e")


def guard_log():
    """Records of a run and a line of a scan, as report, lock and learn read them."""
    by = {"python": [{"file": "/usr/lib/python3/dist-packages/peft/auto.py", "line": 131, "function": "load"},
                     {"file": "/srv/infer.py", "line": 12, "function": "<module>"}],
          "native": [{"object": "libtorch.so", "symbol": "load"}]}
    adapter, base = ({"id": f"hf:org/{name}", "revision": "a" * 40, "inside": "config.json"} for name in ("adapter", "base"))
    path = "/c/models--org--%s/snapshots/" + "a" * 40 + "/config.json"
    lines = [
        {"event": "start", "path": "/usr/bin/python3"},
        {"event": "depend", "edge": "declared", "effect": "depend", "name": "org/base", "field": "base_model_name_or_path",
         "pinned": False, "target": "hf:org/base", "model": adapter, "path": path % "adapter"},
        {"event": "depend", "edge": "declared", "name": "../other", "field": "encoder", "model": adapter,
         "path": path % "adapter"},
        {"event": "load", "format": "json", "size": 10, "sha256": "0" * 64, "model": adapter, "path": path % "adapter",
         "by": by, "named": {"by": "app", "file": "/srv/infer.py", "line": 12}},
        {"event": "load", "format": "pickle", "parent": "hf:org/adapter", "edge": "declared", "from": "config.json",
         "model": base, "path": path % "base", "real": "/c/blobs/x", "revision": "refs/pr/1"},
        {"event": "load", "decision": "deny", "rule": "exec-call", "effect": "call", "name": "posix.system",
         "args": '"id"', "format": "pickle", "path": "/m/pytorch_model.bin", "why": "runs a program or code", "by": by},
        {"event": "call", "decision": "deny", "rule": "unlisted-call", "effect": "call", "name": "pkg.make",
         "edge": "pickled", "args": '"org/more"', "model": base, "path": path % "base", "by": by},
        {"event": "code", "effect": "code", "name": "python", "decision": "deny", "sha256": "1" * 64, "origin": "library",
         "path": "/c/models--org--base/snapshots/b/x\udc80.py"},
        {"event": "drift", "decision": "warn", "rule": "lock-changed", "path": "/m/a.bin", "locked": {"sha256": "2" * 64}},
    ]
    text = "".join(json.dumps({"v": 1, "time": f"2026-01-01T00:00:0{seq}.25Z", "pid": 7, "seq": seq, "mode": "audit",
                               "decision": "allow", **line}) + "\n" for seq, line in enumerate(lines))
    scan = {"path": "/m/x.pkl", "verdict": "deny", "format": ["zip", "pickle"], "depends": [], "error": None,
            "findings": [{"rule": "unlisted-call", "decision": "deny", "effect": "call", "name": "pkg.make"}]}
    return (text + json.dumps(scan) + "\n{\"v\":1,\"event\":\"lo").encode()


def seeds():
    call = pickle.dumps(Calls(), protocol=2)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield f"values-{protocol}.pkl", pickle.dumps(values(), protocol=protocol)
        yield f"object-{protocol}.pkl", pickle.dumps([Plain(), Plain()], protocol=protocol)
        yield f"call-{protocol}.pkl", pickle.dumps({"model": Calls()}, protocol=protocol)
    yield "buffers.pkl", pickle.dumps(pickle.PickleBuffer(b"buffer" * 50), protocol=5,
                                      buffer_callback=lambda buffer: False)
    yield "two-streams.pkl", pickle.dumps([1]) + call
    yield "inst.pkl", b"(S'id'\nios\nsystem\n."
    yield "obj.pkl", b"(cos\nsystem\nS'id'\no."
    yield "stack-global.pkl", (b"\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00"
                               b"\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R.")
    yield "extension.pkl", b"\x80\x02\x82\x01\x83\x02\x00\x84\x03\x00\x00\x00."
    yield "persistent.pkl", b"\x80\x02X\x02\x00\x00\x00idQ0Pid\n."
    yield "call.bz2", bz2.compress(call)
    yield "call.xz", lzma.compress(call)
    yield "call.lzma", lzma.compress(call, format=lzma.FORMAT_ALONE)
    yield "call.lz4", LZ4
    yield "call.zst", ZSTD
    yield "tar.xz", lzma.compress(tar({"a/model.pkl": call}, "w"))
    for name, method in ("bzip2", zipfile.ZIP_BZIP2), ("lzma", zipfile.ZIP_LZMA):
        yield f"torch-{name}.zip", torch_zip(call, method)
    yield "torch.zip", torch_zip(call)
    yield "torch-deflated.zip", torch_zip(call, zipfile.ZIP_DEFLATED)
    yield "torchscript.zip", torchscript()
    yield "script.py", SCRIPT
    yield "zip-in-zip.zip", torch_zip(torch_zip(call))
    header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    objects = npy(header.ljust(117) + "\n", call)
    yield "objects.npy", objects
    yield "numbers.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }".ljust(117) + "\n", bytes(16))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("arr_0.npy", objects)
    yield "objects.npz", buffer.getvalue()
    yield "call.pkl.gz", gzip.compress(call, mtime=0)
    yield "call.pkl.z", zlib.compress(call)
    yield "two-members.gz", gzip.compress(pickle.dumps([1]), mtime=0) + gzip.compress(call, mtime=0)
    yield "call.tar", tar({"model/pytorch_model.bin": call, "model/config.json": b"{}"}, "w")
    yield "call.tar.gz", tar({"model.pkl": call}, "w:gz")
    tensor = json.dumps({"__metadata__": {"format": "pt"},
                         "w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    yield "model.safetensors", struct.pack("<Q", len(tensor)) + tensor + bytes(8)
    yield "model.gguf", b"GGUF" + struct.pack("<IQQ", 3, 0,
                                              1) + struct.pack("<Q", 7) + b"general" + struct.pack("<IQ", 8, 1) + b"x"
    yield "model.onnx", onnx()
    yield "saved_model.pb", saved_model()[0]
    yield "graph.pb", saved_model()[1]
    yield "graph.meta", saved_model()[2]
    yield "keras.json", json.dumps(KERAS).encode()
    yield "model.h5", hdf5()
    yield "flax.msgpack", flax()
    yield "model.mlmodel", coreml()
    yield "xgboost.json", (b'{"learner":{"attributes":{},"gradient_booster":{"model":{}},"objective":{"name":"x"}},'
                           b'"version":[3,2,0]}')
    yield "xgboost.ubj", (b"{L" + struct.pack(">Q", 7) + b"learner{L" + struct.pack(">Q", 1) + b"aSL" +
                          struct.pack(">Q", 1) + b"b}}")
    yield "xgboost.model", xgboost_binary()
    yield "lightgbm.txt", LIGHTGBM
    yield "program", b"MZqFpD='\n".ljust(512, b"\0") + torch_zip(call)
    yield "config.json", json.dumps({"architectures": ["LlamaForCausalLM"], "_name_or_path": "org/base",
                                     "auto_map": {"AutoModel": "org/code--modeling.Model"},
                                     "nested": {"trust_remote_code": True},
                                     "_target_": "os.system", "number": 1e5, "text": "\ud83d\ude00 \u0000"}).encode()
    yield "adapter_config.json", json.dumps({"peft_type": "LORA", "base_model_name_or_path": "org/base",
                                             "revision": None,
                                             "auto_mapping": {"parent_library": "mypkg"}}).encode()
    yield "index.json", json.dumps({"weight_map": {"w": "../outside.bin", "v": "/absolute.bin"}}).encode()
    yield "duplicate.json", b'{"a": 1, "a": [NaN, -Infinity, 1e999], "b": "\\ud800"}'
    yield "config.yaml", YAML.encode()
    yield "tags.yaml", (b"%TAG !p! tag:yaml.org,2002:python/\n---\nx: !p!object/apply:os.s%79stem [id]\n"
                         b"y: !new:a.B {k: !ref <x>}\n...\n")
    yield "MLmodel", (b"flavors:\n  python_function:\n    loader_module: a.b\n    code: ../x\n"
                      b"    artifacts: {a: {uri: org/x}}\n")
    yield "README.md", b"---\nbase_model:\n- org/base\nprior: org/prior\n---\n# Title\n"
    yield "config.cfg", (b"[nlp]\nx = {\"@callbacks\": \"a.v1\"}\n[components.t]\nsource = \"other\"\n"
                         b"long = [1,\n    2]\n")
    yield "chat.jinja", (b"{%- raw -%}{{ x.__class__ }}{% endraw %}{# __mro__ #}{% for m in messages %}"
                         b"{{ m['a'] | attr(\"b\") }}{% endfor %}")
    yield "policy.json", json.dumps({"version": 1, "mode": "audit", "log_required": True, "rules": [
        {"id": "mine", "effect": "call", "match": ["mypkg.*", "a:b.c"], "args": ["i*"], "origin": ["unpickler"],
         "format": ["pickle"], "path": ["/m/**"], "model": ["hf:org/*"], "revision": "0" * 40, "sha256": "0" * 64,
         "process": "python*", "expires": "2030-01-01", "then": "allow", "severity": "low", "why": "measured"}],
        "limits": {}}, indent=1).encode()
    yield "guard.log", guard_log()
    yield "text.txt", b"import os\nos.system('id')\n"
    yield "empty", b""


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in seeds():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()

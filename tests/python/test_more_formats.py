"""GGUF, ONNX, HDF5 and Keras as the real libraries write them, judged at rest by `guard scan`. Nothing here is ever
loaded."""
import base64
import io
import json
import os
import pickle
import subprocess
import zipfile

import numpy as np
import pytest

from conftest import COMMAND

gguf = pytest.importorskip("gguf")
h5py = pytest.importorskip("h5py")
onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

ESCAPE = "{{ messages.__class__.__mro__[1].__subclasses__() }}"
TEMPLATE = "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}{% endfor %}"


class Payload:
    """Calls os.system when it is unpickled."""

    def __reduce__(self):
        return os.system, ("true",)


def scan(path):
    done = subprocess.run([COMMAND, "scan", "--format", "json", str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def found(result):
    return {(finding["effect"], finding["name"]) for finding in result["findings"]}


def clean(result, *formats):
    assert result["verdict"] == "allow" and not result["findings"], result
    assert set(formats) <= set(result["format"]), result
    return True


# --- GGUF

def write_gguf(path, template, endian=gguf.GGUFEndian.LITTLE):
    writer = gguf.GGUFWriter(str(path), "llama", endianess=endian)
    writer.add_base_model_count(1)
    writer.add_base_model_repo_url(0, "https://example.org/base")
    writer.add_context_length(128)
    writer.add_token_list([f"token {i} __class__" for i in range(20000)])
    writer.add_token_scores([0.0] * 20000)
    writer.add_token_types([1] * 20000)
    writer.add_chat_template(template)
    writer.add_tensor("token_embd.weight", np.zeros((64, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("endian", list(gguf.GGUFEndian))
def test_gguf(tmp_path, endian):
    path = tmp_path / "model.gguf"
    write_gguf(path, TEMPLATE, endian)
    result = scan(path)
    assert clean(result, "gguf")
    assert [depend["target"] for depend in result["depends"]] == ["https://example.org/base"]
    write_gguf(path, ESCAPE, endian)
    assert found(scan(path)) == {("code", "template-escape")}
    write_gguf(path, [{"name": "default", "template": TEMPLATE}, {"name": "tool_use", "template": ESCAPE}], endian)
    findings = scan(path)["findings"]
    assert [finding["field"] for finding in findings] == ["tokenizer.chat_template.tool_use"]


def test_gguf_cut_short(tmp_path):
    path = tmp_path / "model.gguf"
    write_gguf(path, TEMPLATE)
    path.write_bytes(path.read_bytes()[:5000])
    result = scan(path)
    assert result["verdict"] == "deny" and found(result) == {("malformed", "gguf-count")}


# --- ONNX

def write_onnx(path, nodes, initializers=(), functions=(), domains=("",)):
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "graph", value[:1], value[1:], list(initializers))
    model = helper.make_model(graph, functions=list(functions), producer_name="test", doc_string="two\nlines",
                              opset_imports=[helper.make_opsetid(domain, 17 if not domain else 1)
                                             for domain in domains])
    onnx.save(model, str(path))
    return model


RELU = helper.make_node("Relu", ["x"], ["y"])


def test_onnx_external_data(tmp_path):
    path = tmp_path / "model.onnx"
    model = write_onnx(path, [RELU],
                       [numpy_helper.from_array(np.zeros((100, 100), np.float32), f"w{i}") for i in range(3)])
    assert clean(scan(path), "onnx")
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert clean(scan(path), "onnx")
    for location in "../../secret", "/etc/passwd":
        model = onnx.load(str(path), load_external_data=False)
        for entry in model.graph.initializer[1].external_data:
            if entry.key == "location":
                entry.value = location
        onnx.save(model, str(path))
        assert ("read", location) in found(scan(path))


def test_onnx_operators(tmp_path):
    path = tmp_path / "model.onnx"
    write_onnx(path, [helper.make_node("Shell", ["x"], ["y"], domain="not.known")], domains=("", "not.known"))
    assert found(scan(path)) == {("code", "onnx-custom-domain")}
    function = helper.make_function("local", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])],
                                    [helper.make_opsetid("", 17)])
    write_onnx(path, [helper.make_node("F", ["x"], ["y"], domain="local")], functions=[function], domains=("", "local"))
    assert clean(scan(path), "onnx")
    write_onnx(path, [helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")], domains=("", "com.microsoft"))
    assert clean(scan(path), "onnx")


def test_onnx_own_examples():
    """The models that onnx ships: every one is recognised, and nothing is said of any."""
    folder = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data")
    done = subprocess.run([COMMAND, "scan", "--format", "json", folder], capture_output=True, text=True, timeout=120)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    models = [result for result in results if result["path"].endswith(".onnx")]
    assert len(models) > 100
    assert [result for result in models if "onnx" not in result["format"]] == []
    assert [result for result in results if result["verdict"] != "allow" or result["findings"]] == []


# --- Keras, alone, in archives and in HDF5

def dense():
    return {"module": "keras.layers", "class_name": "Dense", "registered_name": None,
            "config": {"units": 1, "activation": "relu",
                       "kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform",
                                              "config": {}}}}


def sequential(*layers):
    return {"module": "keras", "class_name": "Sequential", "registered_name": None,
            "config": {"name": "sequential", "layers": [dense(), *layers]}, "keras_version": "3.5.0"}


def pickled_layer(payload):
    text = base64.b64encode(pickle.dumps(payload, 2)).decode()
    return {"config": {"module": text}, "module": "keras.layers", "class_name": "TorchModuleWrapper"}


LAYERS = {
    "lambda": ({"module": "keras.layers", "class_name": "Lambda",
                "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wAA", "defaults": None}}}},
               ("code", "keras-lambda")),
    "old-lambda": ({"class_name": "Lambda", "config": {"function": ["4wAA", None, None], "function_type": "lambda"}},
                   ("code", "keras-lambda")),
    "function": ({"module": "keras.layers", "class_name": "Lambda",
                  "config": {"function": {"module": "posix", "class_name": "function", "config": "system"}}},
                 ("call", "posix.system")),
    "saved-model": ({"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "other"}},
                    ("code", "keras-tfsm-layer")),
    "vocabulary": ({"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
                   ("read", "/etc/passwd")),
    "download": ({"module": "keras.utils", "class_name": "function", "config": "get_file"},
                 ("call", "keras.utils.get_file")),
    "pickle": (pickled_layer(Payload()), ("call", "posix.system")),
    "long-pickle": (pickled_layer([b"x" * 500000, Payload()]), ("call", "posix.system")),
}


def write_weights(target, **options):
    with h5py.File(target, "w", **options) as file:
        file.create_group("layers/dense/vars")["0"] = np.zeros((4, 4))
        file.create_group("vars")
        file.create_group("optimizer/vars")


def write_json(path, model):
    path.write_text(json.dumps(model))


def write_archive(path, model):
    weights = io.BytesIO()
    write_weights(weights)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.5.0", "date_saved": "2025-01-01"}))
        archive.writestr("config.json", json.dumps(model))
        archive.writestr("model.weights.h5", weights.getvalue())


def write_h5(path, model, **options):
    with h5py.File(path, "w", **options) as file:
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps(model).encode()
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"dense"]
        for i in range(50):
            weights.create_dataset(f"dense/kernel:{i}", data=np.zeros((20, 20)), compression="gzip")


@pytest.mark.parametrize("write", [write_json, write_archive, write_h5])
def test_keras(tmp_path, write):
    path = tmp_path / "model"
    write(path, sequential())
    assert clean(scan(path), "keras")
    for name, (layer, expected) in LAYERS.items():
        write(path, sequential(layer))
        result = scan(path)
        assert expected in found(result), name
        assert result["verdict"] != "allow"


# --- HDF5

VERSIONS = ["earliest", "v108", "latest"]


@pytest.mark.parametrize("version", VERSIONS)
def test_hdf5_other_files(tmp_path, version):
    path = tmp_path / "weights.h5"
    write_weights(path, libver=version)
    assert clean(scan(path), "keras-h5")
    with h5py.File(path, "a", libver=version) as file:
        file["layers/dense/vars/link"] = h5py.ExternalLink("/etc/link.h5", "/x")
        file["layers/dense/vars/soft"] = h5py.SoftLink("/layers")
        file.create_dataset("vars/external", (100,), "f8",
                            external=[("inside.bin", 0, 400), ("../external.bin", 0, 400)])
        layout = h5py.VirtualLayout((40, 10), "f8")
        for i in range(20):
            layout[i, ::2] = h5py.VirtualSource(".", "d", (5,))
        for i in range(20, 30):
            layout[i] = h5py.VirtualSource("/etc/a_long_name_that_the_library_writes_once.h5",
                                           "another_long_name_of_a_dataset", (10,))
        layout[30:32, 1::2] = h5py.VirtualSource("/etc/virtual.h5", "d", (2, 10))[:, 1::2]
        file.create_virtual_dataset("vars/virtual", layout)
    assert {name for effect, name in found(scan(path)) if effect == "read" and name != "inside.bin"} == {
        "/etc/link.h5", "../external.bin", "/etc/a_long_name_that_the_library_writes_once.h5", "/etc/virtual.h5"}


@pytest.mark.parametrize("version", VERSIONS)
def test_hdf5_many(tmp_path, version):
    """Groups and attributes so large that they are kept in trees and heaps."""
    path = tmp_path / "model.h5"
    write_h5(path, sequential(), libver=version)
    with h5py.File(path, "a", libver=version) as file:
        for i in range(100):
            file.attrs[f"attribute {i}"] = "x" * i
        file.attrs["pickled"] = np.void(pickle.dumps(Payload(), 2))
        for i in range(3000):
            file.create_dataset(f"many/{i}", data=i)
            if i % 50 == 0:
                file[f"many/link{i}"] = h5py.ExternalLink(f"/other/{i}.h5", "/x")
        file["many/" + "n" * 5000] = h5py.ExternalLink("/huge.h5", "/x")
    effects = found(scan(path))
    assert ("call", "posix.system") in effects
    assert {name for effect, name in effects if effect == "read"} == {f"/other/{i}.h5"
                                                                      for i in range(0, 3000, 50)} | {"/huge.h5"}


@pytest.mark.parametrize("version", VERSIONS)
def test_hdf5_data(tmp_path, version):
    """Measurements are no model; what links them is said only when it leads away."""
    path = tmp_path / "data.h5"
    with h5py.File(path, "w", libver=version, userblock_size=1024) as file:
        file["numbers"] = np.arange(1000)
        file["words"] = ["a", "b"]
        file["records"] = np.zeros(3, dtype=[("a", "i4"), ("b", "f8")])
        file["next"] = h5py.ExternalLink("next.h5", "/x")
        file.attrs["title"] = "measurement"
    result = scan(path)
    assert clean(result, "hdf5")


# --- skops

@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_skops(tmp_path, compression):
    skops_io = pytest.importorskip("skops.io")
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    path = tmp_path / "model.skops"
    rows, labels = np.arange(1, 61, dtype=float).reshape(20, 3), [0, 1] * 10
    pipeline = make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), LogisticRegression()).fit(rows, labels)
    skops_io.dump(pipeline, path, compression=compression)
    assert clean(scan(path), "skops")
    skops_io.dump(FunctionTransformer(os.system), path, compression=compression)
    assert ("import", "posix.system") in found(scan(path))


# --- TorchScript, as PyTorch prints it

def scripted(path, call):
    """A scripted function of one call, in a file; `mine::twice` is an operator of ours."""
    import torch
    if not hasattr(torch.ops.mine, "twice"):
        library = torch.library.Library("mine", "DEF")
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: 2 * x, "CompositeExplicitAutograd")
        scripted.library = library
    class Scripted(torch.jit.ScriptModule):
        pass

    module = Scripted()
    module.define(f"def forward(self, x: Tensor):\n    return {call}\n")
    torch.jit.save(module, path)


def test_torchscript(tmp_path):
    path = tmp_path / "model.pt"
    scripted(path, "torch.relu(x) ^ torch.ones_like(x)")
    assert clean(scan(path), "torchscript")
    scripted(path, "torch.from_file('/etc/passwd', False, 10)")
    assert ("read", "/etc/passwd") in found(scan(path))
    scripted(path, "torch.ops.aten.from_file('/etc/group', False, 10)")
    assert ("read", "/etc/group") in found(scan(path))
    scripted(path, "torch.ops.mine.twice(x)")
    result = scan(path)
    assert found(result) == {("code", "torchscript-operator/mine/twice")} and result["verdict"] == "warn"
    scripted(path, "torch.ops.quantized.relu6(x, False)")
    assert clean(scan(path), "torchscript")


# --- Formats that are recognised

def flax_array(array):
    """As flax.serialization packs it (_ndarray_to_bytes, _msgpack_ext_pack)."""
    import msgpack
    packed = msgpack.packb((array.shape, array.dtype.name, array.tobytes()), use_bin_type=True)
    return msgpack.ExtType(1, packed)


def test_flax(tmp_path):
    import msgpack
    path = tmp_path / "flax_model.msgpack"
    state = {"params": {f"layer{i}": {"kernel": flax_array(np.zeros((30, 40), np.float32))} for i in range(50)},
             "step": 5, "note": None}
    path.write_bytes(msgpack.packb(state))
    assert clean(scan(path), "flax-msgpack")
    path.write_bytes(path.read_bytes()[:20000])
    assert found(scan(path)) == {("malformed", "flax-truncated")}
    path.write_bytes(msgpack.packb({**state, "payload": pickle.dumps(Payload())}))
    assert ("call", "posix.system") in found(scan(path))
    path.write_bytes(msgpack.packb({"rows": [{"name": "x", "value": b"bytes"}] * 100}))
    result = scan(path)
    assert result["format"] == [] and clean(result)


def test_boosters(tmp_path):
    """XGBoost and LightGBM models as they write them, and cut short."""
    import lightgbm
    import xgboost
    rows, labels = np.random.RandomState(0).rand(60, 4), [0, 1] * 30
    model = xgboost.XGBClassifier(n_estimators=2).fit(rows, labels)
    for suffix in "json", "ubj":
        path = tmp_path / f"model.{suffix}"
        model.save_model(path)
        assert clean(scan(path), "xgboost")
        path.write_bytes(path.read_bytes()[:-10])
        assert found(scan(path)) == {("malformed", "xgboost-truncated")}
    path = tmp_path / "model.txt"
    booster = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, min_child_samples=2).fit(rows, labels).booster_
    booster.save_model(path)
    assert clean(scan(path), "lightgbm")
    path.write_bytes(path.read_bytes()[:-4000])
    assert found(scan(path)) == {("malformed", "lightgbm-truncated")}


def test_llamafile(tmp_path):
    """A program with a GGUF in the zip at its end, as llamafile's zipalign puts it there; and one that holds something
    else."""
    weights, path = tmp_path / "weights" / "model.gguf", tmp_path / "model.llamafile"
    weights.parent.mkdir()
    write_gguf(weights, TEMPLATE)
    for content, verdict in ((weights.read_bytes(), "warn"), (b"print(1)\n", "allow")):
        path.write_bytes(b"MZqFpD='\n" + bytes(500))
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("model.gguf", content)
        result = scan(path)
        assert result["verdict"] == verdict
        assert ("code", "llamafile") in found(result) or verdict == "allow"
    write_gguf(weights, ESCAPE)
    path.write_bytes(b"\177ELF\2\1\1" + bytes(500))
    with zipfile.ZipFile(path, "a") as archive:
        archive.write(weights, "model.gguf")
    assert {("code", "llamafile"), ("code", "template-escape")} <= found(scan(path))


def test_safetensors(tmp_path):
    from safetensors.numpy import save_file
    path = tmp_path / "model.safetensors"
    save_file({f"layer{i}": np.zeros((3, i), np.float32) for i in range(200)}, path, metadata={"format": "np"})
    content = path.read_bytes()
    assert clean(scan(path), "safetensors")
    for changed, token in ((content + b"x", "offsets"), (content[:-1], "offsets"), (content[:3000], "header-size"),
                           (content.replace(b'"layer7"', b'"layer8"'), "duplicate-key"),
                           (content.replace(b'[3,5]', b'[3,6]'), "tensor")):
        path.write_bytes(changed)
        assert found(scan(path)) == {("malformed", f"safetensors-{token}")}

"""Containers as the real libraries write them, judged at rest by `guard scan`: what they hold is found, readers'
quarrels are told, and what is no model is left alone."""
import contextlib
import csv
import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib

import joblib
import numpy as np
import pytest
import torch

from guard_command import guard_usage, said, scan


class Payload:
    """Calls os.system when it is unpickled, which nothing here does."""

    def __reduce__(self):
        return os.system, ("true",)


def calls_system(result):
    """The members whose pickles call os.system."""
    assert result["verdict"] == "deny", result
    return {finding["member"] for finding in result["findings"]
            if finding["effect"] == "call" and finding["name"].endswith(".system")}


def clean(result, *formats):
    return result["verdict"] == "allow" and not result["findings"] and all(name in result["format"] for name in formats)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x) + torch.ones(4)


class Reads(torch.nn.Module):
    def forward(self, x):
        return x + torch.from_file("/etc/passwd", False, 4)


def rewrite(path, change, compression=zipfile.ZIP_STORED):
    """Writes the members of the zip at `path` again, each (name, data) through `change`."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, change(name, data))


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"w": torch.zeros(100), "b": torch.ones(3)}, path)
    return path


@pytest.fixture
def poisoned(tmp_path):
    path = tmp_path / "poisoned.pt"
    torch.save({"w": torch.zeros(100), "x": Payload()}, path)
    return path


def test_torch_zip(checkpoint, poisoned):
    good, bad = scan(checkpoint, poisoned)
    assert clean(good, "zip", "torch-zip", "pickle")
    assert calls_system(bad) == {"poisoned/data.pkl"}


def test_torch_zip_deflated(poisoned):
    rewrite(poisoned, lambda name, data: data, zipfile.ZIP_DEFLATED)
    assert calls_system(scan(poisoned)[0]) == {"poisoned/data.pkl"}


def test_storages_are_not_unpickled(checkpoint):
    payload = pickle.dumps(Payload())
    rewrite(checkpoint, lambda name, data: payload if name == "model/data/0" else data)
    assert clean(scan(checkpoint)[0], "torch-zip")


@pytest.mark.parametrize("quarrel, token", [
    ("local name", "zip-names-differ"), ("local flag", "zip-flags-differ"), ("central flag", "zip-flags-differ"),
    ("checksum", "zip-crc"), ("prefix", "zip-prefix"), ("twice", "zip-duplicate-name"),
    ("method", "zip-methods-differ"),
])
def test_quarrels(poisoned, quarrel, token):
    """Each hides the payload from some reader, or from some scanner; loaders that read it all the same must not."""
    with zipfile.ZipFile(poisoned) as archive:
        entry = archive.getinfo("poisoned/data.pkl")
    data = bytearray(poisoned.read_bytes())
    local, central = entry.header_offset, data.index(b"PK\1\2")
    if quarrel == "local name":
        data[local + 30] ^= 1
    elif quarrel == "local flag":
        data[local + 6] ^= 1
    elif quarrel == "central flag":
        data[central + 8] ^= 1
    elif quarrel == "checksum":
        data[central + 16] ^= 1
    elif quarrel == "prefix":
        data[:0] = b"#!/bin/sh\n"
    elif quarrel == "method":
        data[local + 8] = 8
    poisoned.write_bytes(data)
    if quarrel == "twice":
        with zipfile.ZipFile(poisoned, "a") as archive, pytest.warns(UserWarning):
            archive.writestr("poisoned/data.pkl", pickle.dumps({}))
    result = scan(poisoned)[0]
    assert calls_system(result) == {"poisoned/data.pkl"}
    assert token in said(result, "malformed")


def test_two_archives_in_a_row(tmp_path):
    """zipfile reads the second, PyTorch's miniz the first."""
    whole = b""
    for content in (pickle.dumps(Payload()), pickle.dumps([0] * 10)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("m/data.pkl", content.ljust(60))
            archive.writestr("m/version", "3\n")
        whole += buffer.getvalue()
    path = tmp_path / "two.pt"
    path.write_bytes(whole)
    assert b"system" in torch._C.PyTorchFileReader(str(path)).get_record("data.pkl")
    assert b"system" not in zipfile.ZipFile(path).read("m/data.pkl")
    result = scan(path)[0]
    assert calls_system(result) == {"m/data.pkl"}
    assert "zip-directories-differ" in said(result, "malformed")


def test_torch_zip_cut_short(poisoned):
    poisoned.write_bytes(poisoned.read_bytes()[:-200])
    result = scan(poisoned)[0]
    assert result["verdict"] == "deny" and "zip-no-directory" in said(result, "opaque")


def test_torchscript(tmp_path):
    torch.jit.save(torch.jit.script(Net()), tmp_path / "net.pt")
    torch.jit.save(torch.jit.script(Reads()), tmp_path / "reads.pt")
    net, reads = scan(tmp_path / "net.pt", tmp_path / "reads.pt")
    assert "torchscript" in net["format"] and net["verdict"] != "deny"
    assert "/etc/passwd" in said(reads, "read") and reads["verdict"] == "deny"


def test_torch_package(tmp_path):
    path = tmp_path / "package.pt"
    with torch.package.PackageExporter(path) as exporter:
        exporter.save_source_string("mod", "import os\n")
        exporter.save_pickle("model", "model.pkl", {"x": Payload()}, dependencies=False)
    result = scan(path)[0]
    assert "torch-package" in said(result, "code")
    assert calls_system(result) == {"package/model/model.pkl"}


def test_npy_and_npz(tmp_path):
    plain, objects = np.zeros((3, 4)), np.array([Payload()], dtype=object)
    structured = np.zeros(2, dtype=[("a", "<i4"), ("O", "S3"), ("d", "M8[ns]")])
    mixed = np.zeros(1, dtype=[("a", "<i4"), ("b", [("c", "O")])])
    mixed["b"]["c"][0] = Payload()
    np.save(tmp_path / "plain.npy", plain)
    np.save(tmp_path / "structured.npy", structured)
    np.savez(tmp_path / "plain.npz", a=plain, b=structured)
    np.savez_compressed(tmp_path / "packed.npz", a=plain, b=structured)
    for result in scan(*(tmp_path / name for name in ("plain.npy", "structured.npy", "plain.npz", "packed.npz"))):
        assert clean(result, "npy"), result
    np.save(tmp_path / "objects.npy", objects)
    np.save(tmp_path / "mixed.npy", mixed)
    np.savez(tmp_path / "objects.npz", a=plain, b=objects)
    np.savez_compressed(tmp_path / "mixed.npz", b=mixed)
    with open(tmp_path / "several.npy", "wb") as file:
        np.save(file, plain)
        np.save(file, objects)
    members = [calls_system(result) for result in scan(*(tmp_path / name for name in (
        "objects.npy", "mixed.npy", "several.npy", "objects.npz", "mixed.npz")))]
    assert members == [{None}, {None}, {None}, {"b.npy"}, {"b.npy"}]


def test_npz_that_cannot_be_read(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.array([Payload()], dtype=object))
    with zipfile.ZipFile(tmp_path / "deflate64.npz", "w") as archive:
        archive.writestr("a.npy", buffer.getvalue())
    data = bytearray((tmp_path / "deflate64.npz").read_bytes())
    data[8] = data[data.index(b"PK\1\2") + 10] = 9
    (tmp_path / "deflate64.npz").write_bytes(data)
    result = scan(tmp_path / "deflate64.npz")[0]
    assert result["verdict"] == "deny" and "zip-method" in said(result, "opaque")


def test_compressed_pickles(tmp_path):
    long = {"numbers": [os.urandom(30) for _ in range(50000)], "x": Payload()}
    with gzip.open(tmp_path / "long.pkl.gz", "wb") as file:
        pickle.dump(long, file)
    with gzip.open(tmp_path / "appended.pkl.gz", "wb") as file:
        pickle.dump([1], file)
    with gzip.open(tmp_path / "appended.pkl.gz", "ab") as file:
        pickle.dump(Payload(), file)
    joblib.dump({"a": np.arange(100000), "x": Payload()}, tmp_path / "joblib.z", compress=("zlib", 3))
    joblib.dump({"a": np.arange(100000), "x": Payload()}, tmp_path / "joblib.gz", compress=("gzip", 3))
    (tmp_path / "old.z").write_bytes(b"ZF" + hex(100).encode().ljust(19) + zlib.compress(pickle.dumps(Payload())))
    for result in scan(*(tmp_path / name for name in ("long.pkl.gz", "appended.pkl.gz", "joblib.z", "joblib.gz",
                                                      "old.z"))):
        assert calls_system(result), result
    joblib.dump({"a": np.arange(100000)}, tmp_path / "clean.z", compress=("zlib", 3))
    assert clean(scan(tmp_path / "clean.z")[0], "zlib", "pickle")


def test_tar(tmp_path, poisoned):
    for mode, name in (("w", "m.tar"), ("w:gz", "m.nemo")):
        for style in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            with tarfile.open(tmp_path / name, mode, format=style) as archive:
                deep = "/".join(["folder"] * (10 if style == tarfile.USTAR_FORMAT else 40))
                archive.add(poisoned, f"{deep}/model.ckpt")
            result = scan(tmp_path / name)[0]
            assert calls_system(result) == {f"{deep}/model.ckpt!poisoned/data.pkl"}
            assert not said(result, "malformed")


def test_torch_legacy_tar(tmp_path):
    """What torch.load takes for its oldest format: a payload in any member runs."""
    with tarfile.open(tmp_path / "old.pt", "w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("storages", "tensors", "pickle"):
            content = pickle.dumps(0, protocol=2)
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    result = scan(tmp_path / "old.pt")[0]
    assert result["verdict"] == "deny" and "torch-legacy-tar" in said(result, "opaque")


def add(archive, name, content):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_nemo(tmp_path, checkpoint, poisoned, mode):
    """NeMo's archive: a config that says what is built, beside the weights; configs elsewhere in a tar are somebody's
    own."""
    harmless = b"target: nemo.collections.asr.models.EncDecCTCModel\nsample_rate: 16000\n"
    harmful = b"encoder:\n  _target_: os.system\n  command: id\n"
    for name, config, weights in (("good", harmless, checkpoint), ("config", harmful, checkpoint),
                                  ("weights", harmless, poisoned)):
        with tarfile.open(tmp_path / f"{name}.nemo", mode) as archive:
            add(archive, "./model_config.yaml", config)
            add(archive, "./model_weights.ckpt", weights.read_bytes())
    with tarfile.open(tmp_path / "recipes.tar", mode) as archive:
        add(archive, "conf/train.yaml", harmful)
        add(archive, "data/example.pt", checkpoint.read_bytes())
    good, config, weights, recipes = scan(*(tmp_path / name
                                            for name in ("good.nemo", "config.nemo", "weights.nemo", "recipes.tar")))
    assert good["verdict"] == "allow" and "tar" in good["format"]
    assert config["verdict"] == "deny" and {finding["member"]
                                            for finding in config["findings"]} == {"./model_config.yaml"}
    assert calls_system(weights) == {"./model_weights.ckpt!poisoned/data.pkl"}
    assert recipes["verdict"] == "allow" and not recipes["findings"]


def test_torchserve(tmp_path, checkpoint, poisoned):
    manifest = json.dumps({"model": {"handler": "handler.py", "serializedFile": "model.pt"}})
    for name, handler, weights in (("plain", None, checkpoint), ("own", "import os\n", checkpoint),
                                   ("bad", None, poisoned)):
        with zipfile.ZipFile(tmp_path / f"{name}.mar", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("MAR-INF/MANIFEST.json", manifest)
            archive.write(weights, "model.pt")
            if handler:
                archive.writestr("handler.py", handler)
    plain, own, bad = scan(*(tmp_path / f"{name}.mar" for name in ("plain", "own", "bad")))
    assert clean(plain, "torchserve", "torch-zip")
    assert own["verdict"] == "warn" and said(own, "code") == {"torchserve"}
    assert calls_system(bad) == {"model.pt!poisoned/data.pkl"}


def test_exported_program(tmp_path):
    """What torch.export writes: weights as they are, and examples of inputs that torch.load reads."""
    class Layer(torch.nn.Module):
        def forward(self, x):
            return x + 1

    torch.export.save(torch.export.export(Layer(), (torch.ones(2, 3),)), tmp_path / "good.pt2")
    (tmp_path / "bad.pt2").write_bytes((tmp_path / "good.pt2").read_bytes())
    buffer = io.BytesIO()
    torch.save(Payload(), buffer)
    rewrite(tmp_path / "bad.pt2", lambda name, data: buffer.getvalue() if name.endswith("sample_inputs/model.pt")
            else data)
    good, bad = scan(tmp_path / "good.pt2", tmp_path / "bad.pt2")
    assert clean(good, "zip", "torch-zip")
    assert {member.split("!")[0] for member in calls_system(bad)} == {"good/data/sample_inputs/model.pt"}


class Rows(torch.nn.Module):
    def forward(self, x):
        return torch.cat([x, x[: x.shape[0] // 2]])


def test_exported_expressions(tmp_path):
    """Sizes and guards of an exported program are Python that torch evaluates: sizes when it is loaded, guards when it
    runs."""
    marker = tmp_path / "marker"
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    rows = torch.export.Dim("rows", min=2, max=64)
    program = torch.export.export(Rows(), (torch.ones(6, 4),), dynamic_shapes={"x": {0: 2 * rows}})
    torch.export.save(program, tmp_path / "good.pt2")
    sizes = (tmp_path / "good.pt2").read_bytes()
    for name, change in (("sizes", lambda text: text.replace('"expr_str": "', f'"expr_str": "{code} or ', 1)),
                         ("guards", lambda text: text.replace('"guards_code": ["', f'"guards_code": ["{code} or ', 1))):
        (tmp_path / f"{name}.pt2").write_bytes(sizes)
        rewrite(tmp_path / f"{name}.pt2", lambda member, data: change(data.decode()).encode()
                if member.endswith("models/model.json") else data)
        with contextlib.suppress(Exception):
            torch.export.load(tmp_path / f"{name}.pt2").module()(torch.ones(6, 4))
        assert marker.exists(), f"the {name} do not fire"
        marker.unlink()
    assert torch.export.load(tmp_path / "good.pt2").module()(torch.ones(6, 4)).shape == (9, 4)
    good, *bad = scan(*(tmp_path / f"{name}.pt2" for name in ("good", "sizes", "guards")))
    assert clean(good, "torch-export", "json")
    for result in bad:
        assert result["verdict"] == "deny" and said(result, "code") == {"config-eval"}
        assert {finding["member"].split("/", 1)[1] for finding in result["findings"]} == {"models/model.json"}


HARMFUL, HARMLESS = "encoder:\n  _target_: os.system\n  command: id\n", "encoder:\n  _target_: torch.nn.Linear\n"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_configs_in_zips(tmp_path, checkpoint, compression):
    """TorchServe's archive, a packed model folder and one of MLflow: a config counts beside the model, as on disk."""
    flavors = "flavors:\n  python_function:\n    loader_module: {}\n"
    layouts = {"served.mar": ("model-config.yaml", HARMFUL, HARMLESS, "model.pt"),
               "folder.zip": ("org/model/conf.yaml", HARMFUL, HARMLESS, "org/model/pytorch_model.bin"),
               "mlflow.zip": ("run/MLmodel", flavors.format("os.system"), flavors.format("mlflow.sklearn"),
                              "run/model.pkl")}
    for name, (config, harmful, harmless, weights) in layouts.items():
        for kind, text in ("bad", harmful), ("good", harmless):
            with zipfile.ZipFile(tmp_path / f"{kind}-{name}", "w", compression) as archive:
                archive.writestr(config, text)
                archive.write(checkpoint, weights)
                if name.endswith(".mar"):
                    archive.writestr("MAR-INF/MANIFEST.json", "{}")
        good, bad = scan(tmp_path / f"good-{name}", tmp_path / f"bad-{name}")
        assert not [finding for finding in good["findings"] if finding["decision"] == "deny"], good
        assert config in {finding["member"] for finding in bad["findings"]}, bad
        assert bad["verdict"] == "deny"


def test_configs_of_other_zips(tmp_path, checkpoint):
    """Documents, programs and somebody's own project: what looks like a config there is none of a model's."""
    project = {"project/conf/train.yaml": HARMFUL, "project/README.md": "---\nbase_model: org/base\n---\n"}
    kinds = {
        "a.docx": {"[Content_Types].xml": "<Types/>", "word/config.json": '{"auto_map": {"AutoModel": "x.Y"}}'},
        "a.xlsx": {"[Content_Types].xml": "<Types/>", "xl/conf.yaml": HARMFUL},
        "a.epub": {"mimetype": "application/epub+zip", "OEBPS/config.json": '{"base_model_name_or_path": "org/x"}'},
        "a.jar": {"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n", "application.yml": HARMFUL},
        "a.apk": {"AndroidManifest.xml": "x", "assets/config.yaml": HARMFUL, "classes.dex": "dex\n035"},
        "a-1-py3-none-any.whl": {"a/__init__.py": "", "a/conf/config.yaml": HARMFUL, "a-1.dist-info/WHEEL": "x"},
        "a.egg": {"a/__init__.py": "", "a/config.yaml": HARMFUL, "EGG-INFO/PKG-INFO": "x"},
        "project.zip": project | {"project/main.py": "import os\n"},
    }
    for name, members in kinds.items():
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, text in members.items():
                archive.writestr(member, text)
    with zipfile.ZipFile(tmp_path / "with-data.zip", "w") as archive:
        for member, text in project.items():
            archive.writestr(member, text)
        archive.write(checkpoint, "project/models/best.pt")
    *others, data = scan(*(tmp_path / name for name in (*kinds, "with-data.zip")))
    assert [result for result in others if result["verdict"] != "allow" or result["findings"] or result["format"]] == []
    assert clean(data, "zip", "torch-zip")


def test_large_members(tmp_path):
    """Of a member that is no model only the beginning is unpacked: a wheel may hold more than is ever inspected."""
    with zipfile.ZipFile(tmp_path / "large.whl", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("a/lib.so", "w", force_zip64=True) as member:
            member.write(b"\x7fELF\2\1\1" + bytes(121))
            for _ in range(1100):
                member.write(bytes(1 << 20))
        archive.writestr("a/other.so", b"\x7fELF\2\1\1" + bytes(121))
    large = scan(tmp_path / "large.whl")[0]
    assert large["verdict"] == "allow" and not large["format"]


def test_7z(tmp_path):
    """No loader reads it: it says something only where it stands for a model."""
    content = b"7z\xbc\xaf\x27\x1c\0\4" + os.urandom(500)
    for name in ("backup.7z", "photos", "model.pth"):
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("backup.7z", content)
    backup, photos, model, other = scan(*(tmp_path / name
                                          for name in ("backup.7z", "photos", "model.pth", "other.zip")))
    for result in backup, photos, other:
        assert result["verdict"] == "allow" and not result["format"]
    assert model["verdict"] == "deny" and said(model, "opaque") == {"7z"}


def test_safetensors(tmp_path):
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header) + 3) + header + b"   " + bytes(8))
    assert clean(scan(tmp_path / "model.safetensors")[0], "safetensors")


def test_zip_in_compressed_streams(tmp_path, poisoned):
    with gzip.open(tmp_path / "model.pt.gz", "wb") as file:
        file.write(poisoned.read_bytes())
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(poisoned, "sub/model.pt")
    packed, bundled = scan(tmp_path / "model.pt.gz", tmp_path / "bundle.zip")
    assert calls_system(packed) == {"poisoned/data.pkl"}
    assert calls_system(bundled) == {"sub/model.pt!poisoned/data.pkl"}


def ordinary(folder):
    """Archives that are no models."""
    with gzip.open(folder / "table.csv.gz", "wt", newline="") as file:
        csv.writer(file).writerows([i, i * i, "text"] for i in range(100000))
    with zipfile.ZipFile(folder / "letter.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<w:document>" + "words " * 1000 + "</w:document>")
    with zipfile.ZipFile(folder / "app.jar", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        archive.writestr("A.class", b"\xca\xfe\xba\xbe" + os.urandom(500))
    with zipfile.ZipFile(folder / "prefixed.pyz", "w") as archive:
        archive.writestr("__main__.py", "print('hello')\n")
    (folder / "prefixed.pyz").write_bytes(b"#!/usr/bin/env python3\n" + (folder / "prefixed.pyz").read_bytes())
    with tarfile.open(folder / "images.tar", "w") as archive:
        for i in range(50):
            entry = tarfile.TarInfo(f"{i}.jpg")
            entry.size = 2000
            archive.addfile(entry, io.BytesIO(b"\xff\xd8\xff\xe0" + os.urandom(1996)))
    with zipfile.ZipFile(folder / "secret.zip", "w") as archive:
        archive.writestr("secret.txt", os.urandom(200))
    data = bytearray((folder / "secret.zip").read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    (folder / "secret.zip").write_bytes(data)
    with zipfile.ZipFile(folder / "empty.zip", "w"):
        pass
    (folder / "cut.zip").write_bytes((folder / "letter.docx").read_bytes()[:-30])
    (folder / "text.z").write_bytes(zlib.compress(b"text " * 1000))


def test_ordinary_archives(tmp_path):
    ordinary(tmp_path)
    results = scan(tmp_path)
    assert len(results) == len(list(tmp_path.iterdir()))
    for result in results:
        assert result["verdict"] == "allow" and not result["findings"] and not result["format"], result


def test_gigabytes_of_tensors(tmp_path):
    """Only what can carry code is read: four gigabytes of tensors take no longer than a small file."""
    path = tmp_path / "large.pt"
    with torch.serialization.skip_data():  # holes instead of tensors
        torch.save({str(i): torch.empty(16 << 20) for i in range(64)}, path)
    assert path.stat().st_size > 4 << 30
    text, seconds, _ = guard_usage("scan", "--format", "json", path)
    assert clean(json.loads(text), "torch-zip") and seconds < 1

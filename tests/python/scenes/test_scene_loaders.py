"""Every way into an unpickler, and TorchScript: a poisoned file is denied, its clean twin loads."""
import base64
import bz2
import gzip
import io
import lzma
import pickle

import lz4.frame
import pytest
import zstandard

from conftest import AttackCases, BenignCases, function_name
from make_models import make_script_module, payload, payload_bytes

PRELUDE = """
    import base64, io, pickle, warnings
    import joblib, lz4.frame, numpy, pandas, torch
    warnings.simplefilter("ignore")
"""

# name: (which file, how it is loaded); FILE stands for the path.
LOADS = {
    "torch.load": ("torch_zip", "torch.load(FILE, weights_only=False)"),
    "torch.load of the old format": ("torch_legacy", "torch.load(FILE, weights_only=False)"),
    "torch.load mmap": ("torch_zip", "torch.load(FILE, weights_only=False, mmap=True)"),
    "torch.load of a file object": ("torch_zip", "torch.load(open(FILE, 'rb'), weights_only=False)"),
    "torch.load of bytes read": ("torch_zip", "torch.load(io.BytesIO(open(FILE, 'rb').read()), weights_only=False)"),
    "torch.jit.load": ("script", "torch.jit.load(FILE)"),
    "torch.load of TorchScript": ("script", "torch.load(FILE, weights_only=False)"),
    "pickle.load": ("pickle", "pickle.load(open(FILE, 'rb'))"),
    "pickle.load of protocol 0": ("pickle0", "pickle.load(open(FILE, 'rb'))"),
    "pickle.load in Python": ("pickle", "pickle._load(open(FILE, 'rb'))"),
    "Unpickler subclass": ("pickle", "class Own(pickle.Unpickler): pass\nOwn(open(FILE, 'rb')).load()"),
    "numpy.load of an array": ("npy", "numpy.load(FILE, allow_pickle=True)"),
    "numpy.load of npz": ("npz", "numpy.load(FILE, allow_pickle=True)['weights']"),
    "numpy.load mmap_mode": ("pickle", "numpy.load(FILE, mmap_mode='r', allow_pickle=True)"),
    "numpy.load mmap_mode of npz": ("npz", "numpy.load(FILE, mmap_mode='r', allow_pickle=True)['weights']"),
    "joblib.load": ("joblib", "joblib.load(FILE)"),
    "joblib.load mmap_mode": ("joblib", "joblib.load(FILE, mmap_mode='r')"),
    "joblib.load of zlib": ("joblib_zlib", "joblib.load(FILE)"),
    "joblib.load of gzip": ("joblib_gzip", "joblib.load(FILE)"),
    "joblib.load of bz2": ("joblib_bz2", "joblib.load(FILE)"),
    "joblib.load of xz": ("joblib_xz", "joblib.load(FILE)"),
    "joblib.load of lzma": ("joblib_lzma", "joblib.load(FILE)"),
    "joblib.load of lz4": ("joblib_lz4", "joblib.load(FILE)"),
    "pandas.read_pickle": ("pickle", "pandas.read_pickle(FILE)"),
    "pandas.read_pickle of gz": ("pickle_gz", "pandas.read_pickle(FILE, compression='gzip')"),
    "pandas.read_pickle of bz2": ("pickle_bz2", "pandas.read_pickle(FILE, compression='bz2')"),
    "pandas.read_pickle of xz": ("pickle_xz", "pandas.read_pickle(FILE, compression='xz')"),
    "pandas.read_pickle of zstd": ("pickle_zstd", "pandas.read_pickle(FILE, compression='zstd')"),
    "pickle.load of lz4": ("pickle_lz4", "pickle.load(lz4.frame.open(FILE))"),
}
COMPRESSED = {"pickle_gz": gzip.compress, "pickle_bz2": bz2.compress, "pickle_xz": lzma.compress,
              "pickle_zstd": zstandard.compress, "pickle_lz4": lz4.frame.compress}
NATIVE = {"torch.jit.load", "torch.load of TorchScript"}


def write_file(kind, path, hook, script_marker=None):
    """A file of this kind that holds `hook` beside ordinary weights."""
    import joblib
    import numpy
    import torch

    weights = {"layer": torch.ones(3), "hook": hook}
    objects = numpy.empty(2, dtype=object)
    objects[:] = ["clean", hook]
    if kind == "torch_zip":
        torch.save(weights, path)
    elif kind == "torch_legacy":
        torch.save(weights, path, _use_new_zipfile_serialization=False)
    elif kind == "script":
        make_script_module(path, script_marker)
    elif kind in ("pickle", "pickle0"):
        path.write_bytes(pickle.dumps({"weights": [1.0], "hook": hook}, 0 if kind == "pickle0" else 4))
    elif kind in COMPRESSED:
        path.write_bytes(COMPRESSED[kind](pickle.dumps({"weights": [1.0], "hook": hook})))
    elif kind in ("npy", "npz"):
        with open(path, "wb") as file:
            numpy.save(file, objects) if kind == "npy" else numpy.savez(file, weights=objects)
    elif kind.startswith("joblib"):
        compress = (kind.partition("_")[2], 3) if "_" in kind else 0
        joblib.dump({"weights": numpy.ones(3), "hook": hook}, path, compress=compress)
    else:
        raise ValueError(kind)


def clean_bodies(scene):
    bodies = {}
    for name, (kind, body) in LOADS.items():
        path = scene.path(f"{kind}.bin")
        if not path.exists():
            write_file(kind, path, ("a", 1))
        bodies[name] = body.replace("FILE", repr(str(path)))
    return bodies


@pytest.fixture(scope="module")
def attacks(make_scene):
    import torch

    scene = make_scene("loaders")
    bodies = {}
    for name, (kind, body) in LOADS.items():
        function = function_name(name)
        path = scene.path(function + ".bin")
        marker = scene.marker(function)
        write_file(kind, path, payload(marker), marker)
        bodies[name] = body.replace("FILE", repr(str(path)))
    # Bytes that never were a file: they come with the program's own text.
    for name, load in {"pickle.loads": "pickle.loads(data)", "pickle.loads in Python": "pickle._loads(data)"}.items():
        data = base64.b64encode(payload_bytes(scene.marker(function_name(name))))
        bodies[name] = f"data = base64.b64decode({data})\n{load}"
    buffer = io.BytesIO()
    torch.save({"hook": payload(scene.marker(function_name("torch.load of bytes")))}, buffer)
    bodies["torch.load of bytes"] = (f"data = base64.b64decode({base64.b64encode(buffer.getvalue())})\n"
                                     "torch.load(io.BytesIO(data), weights_only=False)")
    return AttackCases(scene, scene.cases("loaders.py", PRELUDE, bodies), bodies)


@pytest.mark.parametrize("name", [*LOADS, "pickle.loads", "pickle.loads in Python", "torch.load of bytes"])
def test_poisoned(attacks, name):
    attacks.check(name, native=name in NATIVE)


def test_poisoned_whole(attacks):
    attacks.check_whole()


@pytest.fixture(scope="module")
def clean(make_scene):
    import numpy
    import torch

    scene = make_scene("clean_loaders")
    bodies = clean_bodies(scene)
    numpy.save(scene.path("array.npy"), numpy.arange(1000.0))
    bodies["numpy.load mmap_mode of numbers"] = "assert numpy.load('array.npy', mmap_mode='r').sum() == 499500"
    bodies["numpy.memmap"] = "numpy.memmap('array.npy', mode='r').sum()"
    torch.save(torch.nn.Linear(3, 3), scene.path("module.pt"))
    bodies["a whole module"] = "assert torch.load('module.pt', weights_only=False)(torch.ones(3)).shape == (3,)"
    for length in range(1, 120):
        torch.save({"w": torch.ones(64), "pad": "x" * 1024}, scene.path("n" * length + ".pt"))
    bodies["names of every length"] = ("for length in range(1, 120):\n"
                                       "    torch.load('n' * length + '.pt', weights_only=False)")
    bodies["weights_only"] = "torch.load('torch_zip.bin', weights_only=True)"
    return BenignCases(scene, scene.cases("clean_loaders.py", PRELUDE, bodies))


@pytest.mark.parametrize("name", [*LOADS, "numpy.load mmap_mode of numbers", "numpy.memmap", "a whole module",
                                  "names of every length", "weights_only"])
def test_clean(clean, name):
    clean.check(name)


def test_clean_whole(clean):
    clean.check_whole()

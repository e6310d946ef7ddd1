"""What lies behind and beside a pickle: further streams at any distance, companions of joblib, PyTorch's oldest form.
Judged at rest; that the malicious ones fire is proved with the loaders that read them so."""
import collections
import io
import os
import pickle
import subprocess
import sys
import tarfile
import time

import joblib
import numpy as np
import pytest
import torch

from guard_command import said, scan


class Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def calls(result):
    return result["verdict"] == "deny" and "posix.system" in said(result, "call")


def fires(marker, script):
    """Does the payload run without the guard? In a process of its own; what the loader says of the rest does not
    matter."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, timeout=120,
                   env={name: value for name, value in os.environ.items() if name != "LD_PRELOAD"})
    return marker.exists()


ORDINARY = pickle.dumps(collections.OrderedDict(a=1))
NOISE = os.urandom(20 << 20)
GAPS = {
    "at once": b"", "64 zeros": bytes(64), "3 MB of zeros": bytes(3 << 20), "a text": b"text\n" * 1000,
    "20 MB of noise": NOISE, "what begins like a pickle": b"\xff\x80\x02X\x03\0\0\0abc\xff\x80\x04\x88\x89\x82\5\xff",
    "PROTO again and again": b"\xff" + b"\x80\x02" * 1000 + b"\xff",
}


@pytest.mark.parametrize("name", GAPS)
def test_gaps(tmp_path, name):
    gap = GAPS[name]
    for file, content in {"bad": Payload(tmp_path / "marker"), "good": collections.OrderedDict(b=2)}.items():
        (tmp_path / file).write_bytes(ORDINARY + gap + pickle.dumps(content))
    bad, good = scan(tmp_path / "bad", tmp_path / "good")
    assert calls(bad)
    assert good["verdict"] == "allow" and not good["findings"]
    assert fires(tmp_path / "marker",
                 f"import pickle; file = open({str(tmp_path / 'bad')!r}, 'rb'); pickle.load(file)\n"
                 f"file.seek({len(gap)}, 1); pickle.load(file)")


def test_noise(tmp_path):
    """Chance writes PROTO, and names of the extension registry behind it, once a megabyte."""
    for i in range(4):
        (tmp_path / f"{i}").write_bytes(ORDINARY + os.urandom(16 << 20))
    (tmp_path / "floats").write_bytes(ORDINARY + np.random.default_rng(1).normal(size=2 << 20).astype("f4").tobytes())
    for result in scan(tmp_path):
        assert result["verdict"] == "allow" and not result["findings"] and "pickle" in result["format"]


def test_gap_beyond_the_budget(tmp_path):
    """100 GB of nothing behind a pickle, and PROTO ten million times: quickly said to be not known."""
    with open(tmp_path / "sparse", "wb") as file:
        file.write(ORDINARY)
        file.truncate(100 << 30)
    (tmp_path / "begins").write_bytes(ORDINARY + b"\xff" + b"\x80\x02" * (5 << 20) + b"\xff")
    start = time.monotonic()
    for result in scan(tmp_path):
        assert result["verdict"] == "deny" and said(result, "opaque") == {"pickle-gap"}
    assert time.monotonic() - start < 20


# --- joblib before 0.10

class NDArrayWrapper:
    """Pickled as joblib 0.9's class of this name."""

    def __init__(self, filename):
        self.filename = filename
        self.subclass = np.ndarray
        self.allow_mmap = True


def wrapper_pickle(filename):
    class Pickler(pickle._Pickler):
        dispatch = dict(pickle._Pickler.dispatch)

        def save_type(self, obj):
            if obj is NDArrayWrapper:
                self.write(b"cjoblib.numpy_pickle\nNDArrayWrapper\n")
                self.memoize(obj)
            else:
                self.save_global(obj)

        dispatch[type] = save_type

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump({"weights": NDArrayWrapper(filename)})
    return buffer.getvalue()


def test_companions(tmp_path):
    """An array in a file beside the pickle, which joblib still reads; elsewhere it is denied."""
    marker = tmp_path / "marker"
    np.save(tmp_path / "old.pkl_01.npy", np.array([Payload(marker)], dtype=object))
    (tmp_path / "old.pkl").write_bytes(wrapper_pickle("old.pkl_01.npy"))
    assert fires(marker, f"import joblib; joblib.load({str(tmp_path / 'old.pkl')!r})"), "joblib reads the companion"
    (tmp_path / "absolute.pkl").write_bytes(wrapper_pickle("/tmp/elsewhere.npy"))
    (tmp_path / "upwards.pkl").write_bytes(wrapper_pickle("../../elsewhere.npy"))
    beside, companion, absolute, upwards = scan(*(tmp_path / name
                                                  for name in ("old.pkl", "old.pkl_01.npy", "absolute.pkl",
                                                               "upwards.pkl")))
    assert beside["verdict"] == "allow" and "joblib" in beside["format"]
    assert calls(companion)
    for result, path in (absolute, "/tmp/elsewhere.npy"), (upwards, "../../elsewhere.npy"):
        assert result["verdict"] == "deny" and said(result, "read") == {path}
    wrapper = wrapper_pickle("old.pkl_01.npy").replace(b"filename", b"filenamX")
    (tmp_path / "unknown.pkl").write_bytes(wrapper)
    assert said(scan(tmp_path / "unknown.pkl")[0], "opaque") == {"joblib-companion"}


def test_joblib_own_files():
    """The files of all its versions and compressors that joblib ships, with companions and from Python 2: nothing to
    say."""
    folder = os.path.join(os.path.dirname(joblib.__file__), "test", "data")
    results = [result for result in scan(folder) if result["path"].partition("joblib_")[2]]
    assert len(results) > 30
    assert [result for result in results if result["verdict"] != "allow" or result["findings"]] == []
    assert {"joblib", "gzip", "zlib", "bzip2", "xz", "lzma"} <= {name for result in results
                                                                 for name in result["format"]}


# --- PyTorch's format before zips

def test_behind_storages(tmp_path):
    """torch.load leaves a file behind the storages, and whoever loads again goes on there."""
    first = {"floats": torch.ones(1000), "halves": torch.zeros(33, dtype=torch.float16), "flag": torch.tensor([True]),
             "complex": torch.ones(7, dtype=torch.complex128), "layer": torch.nn.Linear(30, 7).state_dict()}
    first["view"] = first["floats"][:10]
    second = {name: Payload(tmp_path / name) for name in ("saved", "third", "dumped")}
    for name, then in {"good": first, "alone": None, **second}.items():
        with open(tmp_path / f"{name}.pt", "wb") as file:
            for each in [first, [1]][:2 if name == "third" else 1]:
                torch.save(each, file, _use_new_zipfile_serialization=False)
            if name == "dumped":
                pickle.dump(then, file)
            elif then is not None:
                torch.save(then, file, _use_new_zipfile_serialization=False)
    for name in second:
        load = "pickle.load(file)" if name == "dumped" else "torch.load(file, weights_only=False)"
        assert fires(tmp_path / name, f"import pickle, torch; file = open({str(tmp_path / name)!r} + '.pt', 'rb')\n"
                     f"for _ in range({2 if name == 'third' else 1}): torch.load(file, weights_only=False)\n"
                     f"{load}")
    for result in scan(*(tmp_path / f"{name}.pt" for name in second)):
        assert calls(result) and "torch-legacy" in result["format"]
    for result in scan(tmp_path / "good.pt", tmp_path / "alone.pt"):
        assert result["verdict"] == "allow" and not result["findings"] and "torch-legacy" in result["format"]


# --- PyTorch's tar

def torch_tar(path, members):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def test_torch_tar(tmp_path):
    """torch.load unpickles the first member it asks for whatever else there is; the form is denied for what it is."""
    for protocol in (0, 2):
        zero, empty = pickle.dumps(0, protocol), pickle.dumps([], protocol)
        plain = {"storages": zero + empty, "tensors": zero, "pickle": pickle.dumps({"a": 1}, protocol)}
        torch_tar(tmp_path / f"plain{protocol}.pt", plain)
        torch_tar(tmp_path / f"last{protocol}.pt",
                  {**plain, "pickle": pickle.dumps(Payload(tmp_path / f"last{protocol}"), protocol)})
        torch_tar(tmp_path / f"first{protocol}.pt",
                  {"storages": pickle.dumps(Payload(tmp_path / f"first{protocol}"), protocol)})
        names = [f"plain{protocol}", f"last{protocol}", f"first{protocol}"]
        results = scan(*(tmp_path / f"{name}.pt" for name in names))
        for name, result in zip(names, results):
            assert result["verdict"] == "deny" and "torch-tar" in result["format"], name
            assert "torch-legacy-tar" in {finding["rule"] for finding in result["findings"]}
            assert calls(result) == (not name.startswith("plain"))
    loads = "\n".join(f"try: torch.load({str(tmp_path / name)!r}, weights_only=False)\nexcept Exception: pass"
                      for name in ("last0.pt", "last2.pt", "first0.pt", "first2.pt"))
    fires(tmp_path / "none", "import torch\n" + loads)
    assert all((tmp_path / name).exists() for name in ("last0", "last2", "first0", "first2"))


def test_tars_that_only_look_so(tmp_path):
    torch_tar(tmp_path / "data.tar", {"storages": b"a text", "pickle": b"another"})
    assert scan(tmp_path / "data.tar")[0]["verdict"] == "allow"


def test_bytes_that_call_what_is_no_callable(tmp_path):
    """A generator's state that begins like a dict called with None: both unpicklers would raise, and nothing is
    done."""
    state = b"}NR\xd8\x04x\xc2\xf1" * 8
    for name, value in ("array",
                        np.frombuffer(state, dtype=np.uint8)), ("tuple", np.frombuffer(b"()o\xd8" * 8, dtype=np.uint8)):
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(value, 4))
    payload = b"cposix\nsystem\n(S'true'\ntR.".ljust(64, b"\xd8")
    (tmp_path / "payload.pkl").write_bytes(pickle.dumps(np.frombuffer(payload, dtype=np.uint8), 4))
    results = {os.path.basename(result["path"]): result for result in scan(tmp_path)}
    for name in "array.pkl", "tuple.pkl":
        assert results[name]["verdict"] == "allow" and not results[name]["findings"], results[name]
    assert calls(results["payload.pkl"])

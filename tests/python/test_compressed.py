"""Compressed models as the real libraries write them, judged at rest: whatever compresses it, what is inside is found,
damage to it is told, and compressed data that are no model are left alone. What loads of such files do is in
scenes/."""
import argparse
import bz2
import collections
import csv
import gzip
import io
import json
import lzma
import os
import pickle
import tarfile
import zipfile
import zlib

import joblib
import lz4.frame
import numpy as np
import pytest
import zstandard

from guard_command import guard_usage, said, scan


class Payload:
    """Calls os.system when it is unpickled, which nothing here does."""

    def __reduce__(self):
        return os.system, ("true",)


def calls(result):
    return result["verdict"] == "deny" and "posix.system" in said(result, "call")


def clean(result, *formats):
    return result["verdict"] == "allow" and not result["findings"] and set(formats) <= set(result["format"])


def zstd_long(data):
    """As `zstd --long=27 -19` does, whose window is larger than what readers take unasked for."""
    parameters = zstandard.ZstdCompressionParameters.from_level(19, window_log=27, enable_ldm=True)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)


def lzma_alone(data, **options):
    return lzma.compress(data, format=lzma.FORMAT_ALONE, **options)


LZMA_ODD = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 1, "lp": 2, "pb": 0}]
COMPRESSORS = {
    "gzip": ("gzip", gzip.compress), "zlib": ("zlib", zlib.compress), "bzip2": ("bzip2", bz2.compress),
    "xz": ("xz", lzma.compress), "xz -9e": ("xz", lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
    "xz sha256": ("xz", lambda data: lzma.compress(data, check=lzma.CHECK_SHA256)),
    "lzma": ("lzma", lzma_alone), "lzma odd": ("lzma", lambda data: lzma_alone(data, filters=LZMA_ODD)),
    "lz4": ("lz4", lz4.frame.compress),
    "lz4 independent": ("lz4", lambda data: lz4.frame.compress(data, block_linked=False, content_checksum=True,
                                                               store_size=False)),
    "zstd": ("zstd", zstandard.compress), "zstd -22": ("zstd", lambda data: zstandard.compress(data, 22)),
    "zstd --long": ("zstd", zstd_long),
}
# Those whose readers go on with what follows one stream.
SEVERAL = [name for name, (form, _) in COMPRESSORS.items() if form != "zlib"]
RANDOM = os.urandom(1 << 20)  # more than one block of bzip2
NUMBERS = [os.urandom(30) for _ in range(10000)]


@pytest.mark.parametrize("name", COMPRESSORS)
def test_pickles(tmp_path, name):
    form, compress = COMPRESSORS[name]
    long = pickle.dumps({"numbers": NUMBERS, "x": Payload()})
    files = {"short": compress(pickle.dumps(Payload())), "long": compress(long)}
    if name in SEVERAL:
        files["several"] = compress(long[:100]) + compress(long[100:1000]) + compress(long[1000:])
        files["appended"] = compress(pickle.dumps([1])) + compress(pickle.dumps(Payload()))
    files["npy"] = io.BytesIO()
    np.save(files["npy"], np.array([Payload()], dtype=object))
    files["npy"] = compress(files["npy"].getvalue())
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
    (tmp_path / "good").write_bytes(compress(pickle.dumps({"numbers": NUMBERS, "x": 1})))
    results = scan(*(tmp_path / file for file in files), tmp_path / "good")
    assert clean(results.pop(), form, "pickle")
    for file, result in zip(files, results):
        assert calls(result) and form in result["format"] and not said(result, "malformed"), file


@pytest.mark.parametrize("name", COMPRESSORS)
def test_damage(tmp_path, name):
    """What comes before a cut or before damage is executed; that something is missing is told."""
    _, compress = COMPRESSORS[name]
    whole = compress(pickle.dumps([Payload(), NUMBERS, RANDOM]))
    harmless = compress(pickle.dumps([collections.OrderedDict(), NUMBERS, RANDOM]))
    (tmp_path / "cut").write_bytes(whole[:-len(whole) // 8])
    damaged = bytearray(whole)
    damaged[-len(whole) // 8:] = os.urandom(len(whole) // 8)
    (tmp_path / "damaged").write_bytes(damaged)
    (tmp_path / "harmless").write_bytes(harmless[:-len(harmless) // 8])
    cut, damaged, harmless = scan(*(tmp_path / file for file in ("cut", "damaged", "harmless")))
    assert calls(cut) and "packed-truncated" in said(cut, "malformed")
    assert calls(damaged) and said(damaged, "malformed")
    assert harmless["verdict"] == "deny" and "packed-truncated" in said(harmless, "malformed")


@pytest.mark.parametrize("name", ["zlib", "gzip", "bz2", "xz", "lzma", "lz4"])
def test_joblib(tmp_path, name):
    """Arrays lie between the opcodes, aligned; those of objects are pickles of their own."""
    arrays = {"a": np.arange(100000), "f": np.asfortranarray(np.ones((30, 40))), "s": np.array(["a", "bc"]),
              "e": np.zeros((0, 3))}
    objects = np.array([Payload(), 1], dtype=object)
    joblib.dump({**arrays, "o": np.array([1, "x"], dtype=object), "z": 1}, tmp_path / "good", compress=(name, 3))
    joblib.dump({**arrays, "z": Payload()}, tmp_path / "after", compress=(name, 3))
    joblib.dump({**arrays, "o": objects, "z": 1}, tmp_path / "objects", compress=(name, 3))
    good, after, inside = scan(*(tmp_path / file for file in ("good", "after", "objects")))
    assert clean(good, "joblib") and calls(after) and calls(inside)


def test_far_back(tmp_path):
    """A pickle whose later part refers to strings megabytes before: codecs that cannot be copied start again,
    seldom."""
    parts = [bytes(3 << 20)]
    for i in range(6):
        parts += [bytes([i]) * (3 << 20),
                  *(argparse.Namespace(max_features=1, random_state=2, n_estimators=n) for n in range(40))]
    for name in ("bzip2", "xz", "lz4", "zstd"):
        (tmp_path / name).write_bytes(COMPRESSORS[name][1](pickle.dumps(parts)))
    for result in scan(*(tmp_path / name for name in ("bzip2", "xz", "lz4", "zstd"))):
        assert clean(result, "pickle"), result


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_methods(tmp_path, method):
    """zipfile, and so numpy.load, reads members that PyTorch's reader does not."""
    for file, value in ("bad", Payload()), ("good", 1):
        buffer = io.BytesIO()
        np.save(buffer, np.array([value], dtype=object))
        with zipfile.ZipFile(tmp_path / file, "w", method) as archive:
            archive.writestr("a.npy", buffer.getvalue())
            archive.writestr("b.npy", buffer.getvalue() * 1)
    bad, good = scan(tmp_path / "bad", tmp_path / "good")
    assert calls(bad) and not said(bad, "opaque") and not said(bad, "malformed") and clean(good, "npz")


def test_zip_method_lies(tmp_path):
    """A member whose packed bytes are not of its method."""
    with zipfile.ZipFile(tmp_path / "lies.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.npy", b"\x93NUMPY" + bytes(100))
    data = bytearray((tmp_path / "lies.npz").read_bytes())
    data[30 + 5 + 2] = 9  # the size of the properties
    (tmp_path / "lies.npz").write_bytes(data)
    assert scan(tmp_path / "lies.npz")[0]["verdict"] == "deny"


def ordinary(folder):
    """Compressed things that are no models, by every method."""
    table = io.StringIO()
    csv.writer(table).writerows([i, i * i, "import os"] for i in range(20000))
    table = table.getvalue().encode()
    log = b"2026-01-01 10:00:00 INFO cos(system) started\n" * 20000
    images = io.BytesIO()
    with tarfile.open(fileobj=images, mode="w") as archive:
        for i in range(50):
            entry = tarfile.TarInfo(f"{i}.jpg")
            entry.size = 2000
            archive.addfile(entry, io.BytesIO(b"\xff\xd8\xff\xe0" + os.urandom(1996)))
    for name, (_, compress) in COMPRESSORS.items():
        name = name.replace(" ", "_")
        (folder / f"table.csv.{name}").write_bytes(compress(table))
        (folder / f"app.log.{name}").write_bytes(compress(log))
        (folder / f"images.tar.{name}").write_bytes(compress(images.getvalue()))
        (folder / f"random.{name}").write_bytes(compress(os.urandom(50000)))
        (folder / f"empty.{name}").write_bytes(compress(b""))
        (folder / f"cut.{name}").write_bytes(compress(table)[:200])
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(folder / f"letter{method}.docx", "w", method) as archive:
            archive.writestr("[Content_Types].xml", "<Types/>")
            archive.writestr("word/document.xml", "<w:document>" + "words " * 1000 + "</w:document>")
        with zipfile.ZipFile(folder / f"app{method}.jar", "w", method) as archive:
            archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
            archive.writestr("A.class", b"\xca\xfe\xba\xbe" + os.urandom(500))
    (folder / "looks_like.lzma").write_bytes(b"\x5d\0\0\x80\0" + b"\xff" * 8 + b"\0" + b"\x11" * 3000)
    (folder / "looks_like.xz").write_bytes(b"\xfd7zXZ\0\0\4\xe6\xd6\xb4\x46" + os.urandom(3000))
    (folder / "looks_like.zst").write_bytes(b"\x28\xb5\x2f\xfd" + os.urandom(3000))
    (folder / "looks_like.lz4").write_bytes(b"\x04\x22\x4d\x18" + os.urandom(3000))
    (folder / "looks_like.bz2").write_bytes(b"BZh91AY&SY" + os.urandom(3000))


def test_ordinary(tmp_path):
    ordinary(tmp_path)
    results = scan(tmp_path)
    assert len(results) == len(list(tmp_path.iterdir()))
    assert [result for result in results if result["verdict"] != "allow" or result["findings"]
            or result["format"]] == []


ZEROS = bytes(16 << 20)


def bomb(compress, nest):
    """Two gigabytes that are a pickle all the way, a string after another."""
    head, string = b"\x80\x04N0", b"B" + len(ZEROS).to_bytes(4, "little") + ZEROS + b"0"
    data = compress(head) + compress(string) * 128 + compress(pickle.dumps(Payload())[2:])
    return nest(data)


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "lz4", "zstd"])
def test_bombs(tmp_path, name):
    """Past the budget: opaque, in bounded time and memory, also where bombs lie within bombs."""
    _, compress = COMPRESSORS[name]
    (tmp_path / "bomb").write_bytes(bomb(compress, lambda data: data))
    (tmp_path / "nested").write_bytes(bomb(compress, lambda data: compress(compress(data))))
    text, seconds, peak = guard_usage("scan", "--format", "json", tmp_path / "bomb", tmp_path / "nested")
    for result in map(json.loads, text.splitlines()):
        assert result["verdict"] == "deny" and "unpack-limit" in said(result, "opaque"), result
    assert len(text.splitlines()) == 2
    assert seconds < 60
    assert peak < 256 << 10

"""Zips as every reader sees them. Which file Python's zipfile and PyTorch's reader find in each is shown by these
readers themselves; `guard scan` has to find what either of them does, and say where they differ."""
import collections
import io
import json
import os
import pickle
import struct
import subprocess
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
import torch

from conftest import COMMAND
from guard_command import said


class Payload:
    """Calls os.system when it is unpickled, which nothing here does."""

    def __reduce__(self):
        return os.system, ("true",)


BAD, GOOD = pickle.dumps(Payload()), pickle.dumps([0] * 10).ljust(len(pickle.dumps(Payload())), b".")


def scan(path):
    done = subprocess.run([COMMAND, "scan", "--format", "json", str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def calls(result):
    return result["verdict"] == "deny" and "posix.system" in said(result, "call")


def archive(content=BAD, compression=zipfile.ZIP_STORED, comment=b"", prefix=b"", name="m/data.pkl"):
    buffer = io.BytesIO()
    buffer.write(prefix)
    with zipfile.ZipFile(buffer, "a" if prefix else "w", compression) as file:
        file.writestr(name, content)
        file.writestr("m/version", "3\n")
        file.comment = comment
    return buffer.getvalue()


def by_zipfile(path, name="m/data.pkl"):
    """What Python's zipfile reads; None where it refuses."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.read(name)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, zlib.error, OSError, EOFError):
        return None


def by_torch(path, name="data.pkl"):
    """What PyTorch's reader reads; None where it refuses."""
    try:
        return torch._C.PyTorchFileReader(str(path)).get_record(name)
    except RuntimeError:
        return None


def patched(data, *changes, directory=False):
    """(offset, format, value), from the start or, with `directory`, from the first central header."""
    data = bytearray(data)
    start = data.index(b"PK\1\2") if directory else 0
    for offset, form, value in changes:
        struct.pack_into(form, data, start + offset, value)
    return bytes(data)


def two_ends():
    """An archive in the comment of another: the last end record counts for one reader, the first that fits for
    another."""
    return archive(GOOD, comment=archive(BAD))


def zip64_elsewhere():
    """A zip64 end record that leads to another directory than the plain one behind it."""
    first, second = archive(BAD), bytearray(archive(GOOD))
    directory, end = second.index(b"PK\1\2"), second.index(b"PK\5\6")
    at = directory
    while second[at:at + 4] == b"PK\1\2":  # offsets from the start of the file
        struct.pack_into("<I", second, at + 42, struct.unpack_from("<I", second, at + 42)[0] + len(first))
        at += 46 + sum(struct.unpack_from("<HHH", second, at + 28))
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, end - directory, len(first) + directory)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(first) + end, 1)
    return first + bytes(second[:end]) + end64 + locator + first[first.index(b"PK\5\6"):]


QUARRELS = {
    "local name": lambda: patched(archive(), (30, "B", ord("x"))),
    "local flags encrypted": lambda: patched(archive(), (6, "<H", 1)),
    "central flags encrypted": lambda: patched(archive(), (8, "<H", 1), directory=True),
    "local method": lambda: patched(archive(), (8, "<H", 8)),
    "central method": lambda: patched(archive(), (10, "<H", 8), directory=True),
    "checksum": lambda: patched(archive(), (16, "<I", 1), directory=True),
    "local sizes of 0": lambda: patched(archive(), (18, "<Q", 0)),
    "central size short": lambda: patched(archive(), (24, "<I", 4), directory=True),
    "central sizes of 4 GB": lambda: patched(archive(), (20, "<I", 0xfffffffe), (24, "<I", 0xfffffffe), directory=True),
    "two ends": two_ends,
    "zip64 elsewhere": zip64_elsewhere,
    "prefix": lambda: archive(prefix=b"#!/bin/sh\nexit\n"),
    "prefix not counted": lambda: b"#!/bin/sh\nexit\n" + archive(),
    "prefix of another archive": lambda: archive(GOOD) + archive(BAD),
    "another archive behind": lambda: archive(BAD) + archive(GOOD),
}


@pytest.mark.parametrize("name", QUARRELS)
def test_quarrels(tmp_path, name):
    path = tmp_path / "m.pt"
    path.write_bytes(QUARRELS[name]())
    seen = {reader: found for reader, found in (("zipfile", by_zipfile(path)), ("torch", by_torch(path))) if found}
    result = scan(path)
    assert result["verdict"] == "deny" and said(result, "malformed"), (seen, result)
    if any(b"system" in found for found in seen.values()):
        assert calls(result), seen
    if name in ("local name", "checksum", "prefix of another archive", "another archive behind"):
        assert len({b"system" in (seen.get(reader) or b"")
                    for reader in ("zipfile", "torch")}) == 2, "the readers agree by now"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_no_quarrel(tmp_path, compression):
    path = tmp_path / "m.pt"
    path.write_bytes(archive(pickle.dumps([0] * 10), compression))
    assert by_zipfile(path) and by_torch(path)
    result = scan(path)
    assert result["verdict"] == "allow" and not result["findings"]


HEADS = {
    "png": b"\x89PNG\r\n\x1a\n" + bytes(100), "shell": b"#!/bin/sh\n" + b"# text\n" * 100,
    "gguf": b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(64),
    "safetensors": struct.pack("<Q", 8) + b"{}      " + b"",
    "pickle": pickle.dumps([1]), "npy": None,
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("comment", [0, 1000, 4000, 60000])
def test_polyglots(tmp_path, head, comment):
    """Something else in front and a comment behind: zipfile and TorchScript's loader do not look at the first bytes."""
    front = HEADS[head]
    if front is None:
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(10))
        front = buffer.getvalue()
    path = tmp_path / "m.bin"
    path.write_bytes(archive(prefix=front, comment=b"c" * comment))
    assert b"system" in by_zipfile(path)
    result = scan(path)
    assert calls(result) and "zip-prefix" in said(result, "malformed"), result


def test_zip_at_the_end_of_others(tmp_path):
    """What ends with a zip without being one: a tar of it, and a pickle that holds its bytes as data."""
    good = archive(pickle.dumps([0] * 10))
    for blocks in (1, 2, 20):
        with tarfile.open(tmp_path / "m.tar", "w") as file:
            entry = tarfile.TarInfo("m.pt")
            entry.size = len(good)
            file.addfile(entry, io.BytesIO(good))
        data = (tmp_path / "m.tar").read_bytes().rstrip(b"\0")
        (tmp_path / "m.tar").write_bytes(data + bytes(-len(data) % 512 + 512 * (blocks + 1)))
        result = scan(tmp_path / "m.tar")
        assert result["verdict"] == "allow" and not result["findings"] and "torch-zip" in result["format"]
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({"bytes": good, "behind": b"x" * 1000,
                                                   "a": collections.OrderedDict()}))
    result = scan(tmp_path / "m.pkl")
    assert result["verdict"] == "allow" and not result["findings"]


def test_tar_and_pickle(tmp_path):
    """A tar header whose name is a pickle: both readers get what they ask for."""
    header = bytearray(512)
    stream = b"cposix\nsystem\n(S'true'\ntR."
    header[:len(stream)] = stream
    header[124:136] = b"00000000000\0"
    header[257:265] = b"ustar\00000"
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "m.tar"
    path.write_bytes(bytes(header) + bytes(1024))
    assert calls(scan(path))


def test_members_that_contain_their_archive(tmp_path):
    """A member whose data are the whole archive again, for ever."""
    data = bytearray(archive(b"x" * 200, name="m/a.zip"))
    directory = data.index(b"PK\1\2")
    struct.pack_into("<II", data, directory + 20, len(data), len(data))
    struct.pack_into("<I", data, directory + 42, 0)
    path = tmp_path / "self.zip"
    path.write_bytes(data)
    assert scan(path)["verdict"] in ("allow", "deny")
    nested = archive(BAD)
    for _ in range(20):
        nested = archive(nested, name="m/inner.zip")
    path.write_bytes(nested)
    result = scan(path)
    assert result["verdict"] == "allow" or said(result, "opaque")


def test_many_members(tmp_path):
    """A directory that names the same data a hundred thousand times is not read a hundred thousand times."""
    content = b"\x80\x04" + b"N0" * (1 << 19) + BAD[2:]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("m/data.pkl", content)
    data = buffer.getvalue()
    directory, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    header = data[directory:end] * 60000
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 60000, 60000, len(header), directory, 0)
    path = tmp_path / "many.pt"
    path.write_bytes(data[:directory] + header + tail)
    result = scan(path)
    assert calls(result) and "zip-overlap" in said(result, "malformed")


def test_sparse(tmp_path):
    """Sizes of 100 GB that are holes."""
    path = tmp_path / "sparse.pt"
    data = archive(pickle.dumps([0]))
    path.write_bytes(data)
    with open(path, "r+b") as file:
        file.truncate(100 << 30)
    assert scan(path)["verdict"] in ("allow", "deny")
    with open(path, "wb") as file:
        file.truncate(100 << 30)
        file.seek(0, 2)
        file.write(archive(BAD))
    result = scan(path)
    assert calls(result) and "zip-prefix" in said(result, "malformed")

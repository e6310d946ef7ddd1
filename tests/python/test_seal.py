"""What was judged is what is read: a file that changes between its open and its reads."""
import os
import pickle

import pytest

PROGRAM = """
import mmap, os, sys
path, clean, poisoned, how = sys.argv[1:]
stream = open(path, "rb", buffering=0)
stamp = os.stat(path)

BYTES = bytes.fromhex(open(poisoned).read())
OTHER = bytes.fromhex(open(clean).read())
out = os.open(path, os.O_RDWR)
with mmap.mmap(out, 0) as view:
    view[:] = BYTES if how.endswith("poisoned") else OTHER
os.close(out)
os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
try:
    if how.startswith("read"):
        got = stream.read()
    elif how.startswith("pieces"):
        got = b"".join(os.pread(stream.fileno(), 7, at) for at in range(0, stamp.st_size, 7))
    elif how.startswith("readinto"):
        got = bytearray(stamp.st_size); os.preadv(stream.fileno(), [got], 0)
    else:
        got = bytes(mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ))
    print("same" if got == (BYTES if how.endswith("poisoned") else OTHER) else "different")
except PermissionError as error:
    print("refused")
"""


class Payload:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("way", ["read", "pieces", "readinto", "map"])
def test_changed_after_the_open(scene, way):
    poisoned = pickle.dumps([b"x" * 5000, Payload("exit 0")], 4)
    clean = pickle.dumps([b"y" * 5000, "exit 0"], 4)
    clean += pickle.dumps(None, 4) * 100
    size = max(len(poisoned), len(clean))
    first, second = pickle.dumps([b"z" * 5000], 4).ljust(size, b"N"), clean.ljust(size, b"N")
    script = scene.write("swap.py", PROGRAM)
    scene.write("poisoned.hex", poisoned.ljust(size, b"N").hex())
    scene.write("clean.hex", second.hex())
    model = scene.path("model.pkl")

    def said(how, mode):
        model.write_bytes(first)
        os.utime(model, (1_600_000_000, 1_600_000_000))
        run = scene.run([scene.python, str(script), str(model), str(scene.path("clean.hex")),
                         str(scene.path("poisoned.hex")), how], mode)
        assert run.returncode == 0, run
        return run.stdout.strip()

    assert said(f"{way}-poisoned", "") == "same"
    assert said(f"{way}-poisoned", "enforce") == "refused"
    assert said(f"{way}-poisoned", "audit") == "same"
    assert said(f"{way}-clean", "enforce") == "same"

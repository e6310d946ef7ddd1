"""guard's pickle machine against CPython's own unpicklers, and against the known ways past scanners."""
import os
import pickle
import struct
import subprocess

import pytest

import pickle_oracle
from conftest import BUILD

DUMP = BUILD / "effects_dump"
STREAMS = int(os.environ.get("PICKLE_STREAMS", "3000"))


class Effects(list):
    """(kind, name, via) of one file, and its last line as `status` and `formats`."""
    def has(self, kind, name):
        return any(effect[:2] == (kind, name) for effect in self)

    def names(self, kind):
        return {name for k, name, via in self if k == kind and not via}


def dump(paths):
    """The effects of each file."""
    out = subprocess.run([DUMP, *map(str, paths)], stdout=subprocess.PIPE, check=True, text=True, errors="replace").stdout
    found, current = [], Effects()
    for line in out.splitlines():
        fields = line.split("\t")
        if fields[0] in ("done", "not-model", "stopped", "io", "memory"):
            current.status, current.formats = fields[0], fields[1] if len(fields) > 1 else ""
            assert "leaked" not in line and "scan_bid says no" not in line, line
            found.append(current)
            current = Effects()
        else:
            current.append((fields[0], fields[1], "" if fields[4] == "-" else fields[4]))
            current.arguments = fields[3]
    return found


@pytest.fixture
def effects(tmp_path):
    def of(data):
        path = tmp_path / "x"
        path.write_bytes(data)
        return dump([path])[0]
    return of


def disagreement(data, effects):
    """What an unpickler did that the machine does not tell, or the other way round."""
    proto = data[:1] == b"\x80"
    results = pickle_oracle.both(data)
    calls, creates, imports = effects.names("call"), effects.names("create"), effects.names("import")
    handed = {name for kind, name, via in effects if kind == "call"}
    for log, finished in results:
        acts = [entry for entry in log if entry[0] != "import"]
        if not proto and not acts and not finished:
            continue
        for kind, name in log:
            if kind == "import" and name not in imports:
                return f"name {name} not told"
            if kind == "call" and name not in handed:
                return f"call of {name} not told"
            if kind == "create" and name not in creates | calls:
                return f"creation of {name} not told"
    if all(finished for log, finished in results):
        done = {entry for log, finished in results for entry in log}
        for name in calls - {"?"}:
            if ("call", name) not in done and not any(effect[1] == name and effect[0] == "malformed" for effect in effects):
                return f"call of {name} made up"
        for name in imports:
            if ("import", name) not in done:
                return f"name {name} made up"
    return None


def test_random_streams_tell_what_unpicklers_do(tmp_path):
    wrong = []
    for start in range(0, STREAMS, 500):
        paths, streams = [], []
        for seed in range(start, min(start + 500, STREAMS)):
            path = tmp_path / str(seed % 500)
            streams.append(pickle_oracle.random_stream(seed))
            path.write_bytes(streams[-1])
            paths.append(path)
        for seed, data, effects in zip(range(start, STREAMS), streams, dump(paths)):
            problem = disagreement(data, effects)
            if problem:
                wrong.append((seed, problem, data, list(effects)))
    assert not wrong, f"{len(wrong)} streams, first: {wrong[0]}"

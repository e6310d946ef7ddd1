"""guard's pickle machine against CPython's own unpicklers, and against the known ways past scanners."""
import json
import os
import pickle
import struct
import subprocess

import pytest

import pickle_oracle
from conftest import BUILD
from interpreters import every_interpreter

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
    out = subprocess.run([DUMP, *map(str, paths)], stdout=subprocess.PIPE, check=True, text=True,
                         errors="replace").stdout
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


def disagreement(data, effects, results):
    """What an unpickler did that the machine does not tell, or the other way round."""
    proto = data[:1] == b"\x80"
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
            # OBJ and INST call what is no class, and only the running program knows what is one. An attribute that
            # loading may call is not looked at closely enough to say which opcode will ("?" is told along with it).
            if ("call", name) not in done and ("create", name) not in done and "?" not in calls:
                return f"call of {name} made up"
        called = {name.replace(":", ".") for kind, name in done if kind == "call"}
        for name in imports:
            # To BUILD what was named is told as a call and as a change of its attributes.
            changed = name.endswith(".__dict__") and name.removesuffix(".__dict__").replace(":", ".") in called
            if ("import", name) not in done and not changed:
                return f"name {name} made up"
    return None


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    """(streams, what the machine tells of each, a file of them all)."""
    folder = tmp_path_factory.mktemp("streams")
    every = [pickle_oracle.random_stream(seed) for seed in range(STREAMS)]
    told = []
    for start in range(0, STREAMS, 500):
        paths = [folder / str(number) for number in range(len(every[start:start + 500]))]
        for path, data in zip(paths, every[start:start + 500]):
            path.write_bytes(data)
        told += dump(paths)
    (folder / "all").write_text("".join(data.hex() + "\n" for data in every))
    return every, told, folder / "all"


@pytest.mark.parametrize("interpreter", every_interpreter())
def test_random_streams_tell_what_unpicklers_do(streams, interpreter):
    every, told, path = streams
    out = subprocess.run([every_interpreter()[interpreter], pickle_oracle.__file__, path], stdout=subprocess.PIPE,
                         check=True, text=True).stdout
    results = [[([tuple(entry) for entry in log], finished) for log, finished in json.loads(line)]
               for line in out.splitlines()]
    assert len(results) == len(every)
    problems = [(seed, disagreement(data, effects, result), data, list(effects))
                for seed, (data, effects, result) in enumerate(zip(every, told, results))]
    wrong = [problem for problem in problems if problem[1]]
    assert not wrong, f"{len(wrong)} streams, first: {wrong[0]}"


PAYLOAD = ("call", "posix.system")
CALL = b"cposix\nsystem\n(X\x04\0\0\0trueq\x00tR"  # any protocol from 1
DANGERS = {
    "plain": b"\x80\x02" + CALL + b".",
    "no PROTO": CALL + b".",
    "protocol 0": b"cposix\nsystem\n(S'true'\ntR.",
    "INST": b"(S'true'\niposix\nsystem\n.",
    "OBJ": b"(cposix\nsystem\nX\x04\0\0\0trueo.",
    "result dropped": b"\x80\x04" + CALL + b"0N.",
    "unbalanced mark": b"\x80\x04(((" + CALL + b".",
    "STACK_GLOBAL from the memo": b"\x80\x04\x8c\x05posix\x940\x8c\x06system\x940h\0h\1\x93\x8c\x04true\x85R.",
    "STACK_GLOBAL by text GET": b"\x80\x04\x8c\x05posixp70\n0\x8c\x06systemp7_1\n0g 70\ng71\n\x93\x8c\x04true\x85R.",
    "STACK_GLOBAL of DUP": (b"\x80\x04\x8c\x06system\x8c\x05posix20\x940N0\x8c\x06system0h\0\x8c\x06system\x93"
                            b"\x8c\x04true\x85R."),
    "STACK_GLOBAL of a Python 2 string": b"\x80\x04U\x05posixU\x06system\x93\x8c\x04true\x85R.",
    "STACK_GLOBAL of escapes": b"\x80\x04V\\u0070osix\nS's\\x79st\\145m'\n\x93\x8c\x04true\x85R.",
    "base-0 integers": b"\x80\x02I0x10\nL0x10L\nI5\0\n00" + CALL + b".",
    "BYTEARRAY8 and infinity before it": b"\x80\x05\x96\x03" + bytes(7) + b"abc0Finf\n0" + CALL + b".",
    "no STOP": b"\x80\x02" + CALL,
    "invalid opcode after it": b"\x80\x02" + CALL + b"\xff\xff",
    "second pickle": b"\x80\x02N." + b"\x80\x02" + CALL + b".",
    "second pickle without PROTO": b"\x80\x02N." + CALL + b".",
    "second pickle behind zeros": b"\x80\x02N." + bytes(64) + b"\x80\x02" + CALL + b".",
    "second pickle behind garbage": b"\x80\x02N." + b"garbage" * 9 + b"\x80\x02" + CALL + b".",
    "protocol changed on the way": b"\x80\x02\x80\x04\x80\x00" + CALL + b".",
    "memo indexes with gaps": b"\x80\x02" + b"cposix\nsystem\nr\xff\xff\xff\xff0j\xff\xff\xff\xffX\x04\0\0\0true\x85R.",
    "memo index padded": b"\x80\x02cposix\nsystem\np" + b"0" * 100 + b"5\n0g5\nX\x04\0\0\0true\x85R.",
    "frame too short": b"\x80\x04\x95" + struct.pack("<Q", 3) + CALL + b".",
    "frame too long": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + CALL + b".",
    "frame that cuts a name": b"\x80\x04\x95" + struct.pack("<Q", 5) + b"ctorcposix\nsystem\n\x8c\x04true\x85R.",
    "nested": b"\x80\x03ctorch.storage\n_load_from_bytes\nC" + bytes([len(CALL) + 3]) + b"\x80\x02" + CALL + b".\x85R.",
    "nested below protocol 3": b"\x80\x02ctorch.storage\n_load_from_bytes\nc_codecs\nencode\nX" +
                               struct.pack("<I", len(CALL) + 4) + b"\xc2\x80\x02" + CALL +
    b".X\x06\0\0\0latin1\x86R\x85R.",
    "nested in protocol 0": b"ctorch.storage\n_load_from_bytes\n(c_codecs\nencode\n(V\\u0080\\u0002" +
                            CALL.replace(b"\n", b"\\u000a").replace(b"\0", b"\\u0000") + b".\nVlatin1\ntRtR.",
    "nested in an escaped string": b"cpickle\nloads\n(S'" + CALL.replace(b"\n", b"\\n").replace(b"\0", b"\\x00") +
    b".'\ntR.",
    "_reconstructor with another base": b"ccopyreg\n_reconstructor\n(cm\nC\ncposix\nsystem\nS'true'\ntR.",
    "_reconstructor of Python 2": b"ccopy_reg\n_reconstructor\n(cm\nC\ncposix\nsystem\nS'true'\ntR.",
    "BUILD of a global": b"\x80\x02cposix\nsystem\n}X\x01\0\0\0aK\1sb.",
    "SETITEM on a global": b"\x80\x02cposix\nsystem\nX\x01\0\0\0aK\1s.",
    "APPENDS on a global": b"\x80\x02cposix\nsystem\n(K\1e.",
    "ADDITEMS on a global": b"\x80\x04cposix\nsystem\n(K\1\x90.",
    "second BUILD": b"\x80\x02cm\nC\n)\x81}X\x0c\0\0\0__setstate__cposix\nsystem\nsbX\x04\0\0\0trueb.",
    "APPENDS through an attribute": b"\x80\x02cm\nC\n)\x81}X\x06\0\0\0extendcposix\nsystem\nsb(X\x04\0\0\0truee.",
    "APPENDS through a slot": b"\x80\x02cm\nC\n)\x81N}X\x06\0\0\0extendcposix\nsystem\ns\x86b(X\x04\0\0\0truee.",
    "handed to map": b"\x80\x02cbuiltins\nmap\ncposix\nsystem\n]X\x04\0\0\0truea\x86\x81.",
    "handed in a list in a tuple": b"\x80\x02cm\nf\n](cposix\nsystem\neN\x86\x85R.",
    "handed in a dict filled later": b"\x80\x02cm\nf\n}q\1\x85q\2h\1X\1\0\0\0acposix\nsystem\ns0R.",
    "handed by keyword": b"\x80\x04cm\nC\n)}X\1\0\0\0acposix\nsystem\ns\x92.",
    "handed far down a tuple": b"\x80\x02cm\nf\n(" + b"N" * 3000 + b"cposix\nsystem\nt\x85R.",
    "name of 20000 letters before it": b"\x80\x02c" + b"m" * 20000 + b"\nn\n0" + CALL + b".",
    "line of 200000 letters before it": b"\x80\x02V" + b"m" * 200000 + b"\n0" + CALL + b".",
    "behind 9000 opcodes": b"N0" * 4500 + CALL + b".",
    "behind a megabyte": b"\x80\x02X" + struct.pack("<I", 1 << 20) + bytes(1 << 20) + b"0" + CALL + b".",
}


@pytest.mark.parametrize("name", DANGERS)
def test_no_spelling_hides_a_call(effects, name):
    told = effects(DANGERS[name])
    assert told.status == "done" and told.has(*PAYLOAD), list(told)


TOLD = {
    "calling what was made": (b"\x80\x02cm\nf\n)R)R.", ("call", "?")),
    "creating from what was made": (b"\x80\x02cm\nf\n)R)\x81.", ("call", "?")),
    "getattr of a name": (b"\x80\x04cbuiltins\ngetattr\nccodecs\nos\n\x8c\x06system\x86R\x8c\x04true\x85R.",
                          ("call", "codecs:os.system")),
    "dotted name": (b"\x80\x04\x8c\x05numpy\x8c\x10core.sys.modules\x93.", ("import", "numpy:core.sys.modules")),
    "computed name": (b"\x80\x04\x8c\x02oscm\nf\n)R\x93)R.", ("call", "os.?")),
    "method handed on": (b"cm\nf\n(cbuiltins\ngetattr\n(cm\nC\n)\x81S'run'\ntRtR.", ("call", "?")),
    "method by its class's name": (b"\x80\x02cbuiltins\ngetattr\n(cm\nC\n)\x81X\3\0\0\0runtR.", ("import", "m:C.run")),
    "method within a partial": (b"cm\nf\n(cfunctools\npartial\n(cbuiltins\ngetattr\n(cm\nC\n)\x81S'run'\ntRtRtR.",
                                ("call", "?")),
    "attribute that dict() calls": (b"\x80\x02cm\nf\n(cm\nC\n)\x81}X\4\0\0\0keyscn\nkeys\nsbtR.", ("call", "n.keys")),
    "__new__ of an object": (b"\x80\2ccopyreg\n__newobj__\n(cm\nC\n)\x81}X\7\0\0\0__new__cn\nnew\nsbtR.",
                             ("call", "n.new")),
    "_reconstructor with a base that was made": (b"\x80\2ccopyreg\n_reconstructor\n(cm\nC\ncm\nD\n)\x81NtR.",
                                                 ("call", "?")),
    "BUILD of a type that was looked up": (b"\x80\2cbuiltins\ntype\n(cm\nC\n)\x81tRN}X\1\0\0\0xK\1s\x86b.",
                                           ("call", "?")),
    "BUILD of a logger that was there": (b"\x80\2clogging\ngetLogger\n(tR}X\1\0\0\0xK\1sb.", ("call", "?")),
    "name out of a module": (b"\x80\4cm\nname\nX\6\0\0\0system\x93)R.", ("call", "?.system")),
    "extension code": (b"\x80\x02\x82\x05)R.", ("call", "copyreg.extension_5")),
    "NUL in a name": (b"\x80\x02cos\0x\nsystem\n)R.", ("call", "os\\x00x.system")),
    "colon in a name": (b"\x80\x02ca:b\nc\n)R.", ("call", "a\\x3ab.c")),
    "storage of a persistent id": (b"\x80\x02(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" +
                                   b"0X\3\0\0\0cpuK\x0ctQ.",
                                   ("create", "torch.FloatStorage")),
    "copyreg.__newobj__": (b"\x80\x02ccopyreg\n__newobj__\ncm\nC\n\x85R.", ("create", "m.C")),
    "_reconstructor": (b"ccopy_reg\n_reconstructor\n(cm\nC\nc__builtin__\nobject\nNtR.", ("create", "m.C")),
    "name at the very end": (b"\x80\x02cos\nsystemX", ("import", "os.system")),
    "module at the very end": (b"\x80\x02cosX", ("import", "os.")),
    "memo index beyond use": (b"\x80\x02Np99999999999999999999999\n", ("opaque", "pickle-memo-limit")),
    "truncated": (b"\x80\x02cm\nf\n)R", ("malformed", "pickle-truncated")),
    "invalid": (b"\x80\x02cm\nf\n)R\xff", ("malformed", "pickle-invalid-opcode")),
    "frames": (b"\x80\x04\x95" + struct.pack("<Q", 2) + b"cm\nf\n)R.", ("malformed", "pickle-frames")),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_told(effects, name):
    data, expected = TOLD[name]
    told = effects(data)
    assert told.has(*expected), list(told)


def test_alias_below_protocol_3(effects):
    assert effects(b"\x80\x02c__builtin__\neval\n.").has("import", "__builtin__.eval")


ORDINARY = {
    "Python": b"import os\nimport sys\n\nclass A:\n    pass\n",
    "a name and no more": b"cos\nsystem\n",
    "a name, a mark and text": b"cos\nsystem\n(what else?",
    "text": b"Nothing to see here.\n",
    "PROTO and noise": b"\x80\x04\x00\x00\x00",
    "plain data without PROTO": b"(lp0\nI1\na.",
    "bitcode": b"BC\xc0\xde" + bytes(4000),
    "zeros": bytes(100000),
    "nothing": b"",
}


@pytest.mark.parametrize("name", ORDINARY)
def test_what_is_no_pickle(effects, name):
    told = effects(ORDINARY[name])
    assert told.status == "not-model" and not told


def test_names_of_states_and_data_are_not_handed(effects):
    told = effects(b"\x80\x02cm\nC\n)\x81}(X\1\0\0\0acm\nf\nX\1\0\0\0b]cm\ng\naub0]cm\nh\na.")
    assert {name for kind, name, via in told if kind == "import"} == {"m.C", "m.f", "m.g", "m.h"}
    assert told.names("call") == set() and not any(via for kind, name, via in told)


@pytest.mark.parametrize("protocol", range(6))
def test_ordinary_objects_are_only_created(effects, protocol):
    class Plain:
        pass
    Plain.__qualname__ = "Plain"
    globals()["Plain"] = Plain
    thing = Plain()
    thing.value = {"a": [1, (2, 3)], "b": Plain()}
    told = effects(pickle.dumps(thing, protocol))
    assert told.names("call") == set() and f"{__name__}.Plain" in told.names("create")


def test_joblib_arrays(effects, tmp_path):
    joblib, numpy = pytest.importorskip("joblib"), pytest.importorskip("numpy")
    values = {
        "floats": numpy.arange(1000.0), "f": numpy.asfortranarray(numpy.ones((3, 4), "f4")),
        "text": numpy.array(["a", "bc"]),
        "objects": numpy.array([1, "x", None], object), "empty": numpy.zeros((0, 3)), "scalar": numpy.array(5),
        "dates": numpy.array(["2020-01-01"], "M8[D]"), "bool": numpy.array([True]), "bytes": numpy.array([b"abc"]),
        "record": numpy.zeros(3, [("x", "f8"), ("y", "S3")]), "complex": numpy.ones(2, "c16"), "last": "end",
        "record of objects": numpy.array([(1, "x")], [("a", "i4"), ("b", "O")]),
    }
    path = tmp_path / "x.joblib"
    for protocol in (0, 2, 3, 4, 5):
        joblib.dump(values, path, protocol=protocol)
        told = dump([path])[0]
        assert "joblib" in told.formats and not told.names("malformed") and not told.names("opaque"), (protocol,
                                                                                                       list(told))
        # What follows the arrays is found.
        data = path.read_bytes()
        assert data.endswith(b".")
        assert effects(data[:-1] + b"0" + CALL + b".").has(*PAYLOAD)


def test_joblib_payload_in_an_array_of_objects(effects, tmp_path):
    joblib, numpy = pytest.importorskip("joblib"), pytest.importorskip("numpy")

    class Evil:
        def __reduce__(self):
            return os.system, ("true",)
    path = tmp_path / "x.joblib"
    joblib.dump({"a": numpy.arange(5), "b": numpy.array([Evil()], object)}, path)
    assert dump([path])[0].has(*PAYLOAD)


def test_torch_legacy(effects, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pt"
    torch.save({"w": torch.zeros(1000)}, path, _use_new_zipfile_serialization=False)
    told = dump([path])[0]
    assert told.formats == "pickle torch-legacy" and not told.names("malformed") and not told.names("opaque")
    assert told.has("call", "torch._utils._rebuild_tensor_v2") and told.has("create", "torch.FloatStorage")


def test_memory_of_large_pickles(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(pickle.dumps([{"key": i, "text": str(i), "pair": (i, 2.5)} for i in range(200000)], 4))
    out = subprocess.run([DUMP, "-q", "-m", path], stdout=subprocess.PIPE, check=True, text=True).stdout
    peak = int(out.split("\t")[2])
    # 16 MB and 8 bytes for each memo entry.
    assert peak < (16 << 20) + 8 * 2 * 800000, out

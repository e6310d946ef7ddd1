"""The known ways past scanners of pickles, each in every container that it fits into, with a benign twin.

    evasions.py               the table class x container, in Markdown: what `guard scan` says of each
    evasions.py load MANIFEST loads each file of a JSON list of [loader, path], as its real loader does, and goes on

The payload of each touches its marker. The numbers are those under which the classes are catalogued in
analyzer/README.md. """
import argparse
import bz2
import gzip
import io
import json
import lzma
import marshal
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ROOT / "build" / "guard"

# --- Opcodes ---------------------------------------------------------------------------------------------------------

PROTO = b"\x80\x04"


def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module, qualified):
    return text(module) + text(qualified) + b"\x93"


def old_name(module, qualified):
    return f"c{module}\n{qualified}\n".encode()


def call(callee, *arguments):
    return callee + b"(" + b"".join(arguments) + b"tR"


def data(raw):
    return b"B" + struct.pack("<I", len(raw)) + raw


SYSTEM = old_name("posix", "system")


def command(marker):
    return text(f"touch '{marker}'")


def run(marker):
    return call(SYSTEM, command(marker))


def code(marker):
    return f"open({str(marker)!r}, 'w')"


def attribute(thing, attr):
    return call(old_name("builtins", "getattr"), thing, text(attr))


# An object of a listed class that has a __dict__.
OBJECT = call(old_name("types", "SimpleNamespace"))


def state(target, key, value):
    """BUILD of target with {key: value}."""
    return target + b"}" + text(key) + value + b"sb"


# --- Cases -----------------------------------------------------------------------------------------------------------

EVERYWHERE = ("raw", "zip", "legacy", "joblib", "npy", "gz", "xz")


@dataclass
class Case:
    """`evil(marker)` and `twin` are streams; `effect` and `name` are what the finding that denies must say."""
    title: str
    evil: object
    name: str
    effect: str = "call"
    twin: bytes = PROTO + b"]" + text("data") + b"a."
    containers: tuple = EVERYWHERE
    fires: bool = True     # False: what it does is no deed by itself, only the way to one
    c_only: bool = False   # Python's unpickler, which joblib uses, refuses it
    needs: str = ""        # a package, or the very interpreter, of the tests' environment
    until: tuple = (9, 9)  # the first version of Python that does it no more
    files: dict = field(default_factory=dict)  # suffix -> content(marker): companions beside the file
    twin_in: str = ""      # the container of the twin, where this one is wrong in itself


@dataclass
class Elsewhere:
    """What no file can show by itself: the test that covers it."""
    where: str
    why: str


def whole(body):
    return lambda marker: PROTO + body(marker) + b"."


def inner(marker):
    return PROTO + run(marker) + b"."


def marshalled(marker):
    raw = marshal.dumps(compile(code(marker), "<model>", "eval"))
    return call(call(old_name("types", "FunctionType"), call(old_name("marshal", "loads"), data(raw)), b"}"))


SET = call(old_name("builtins", "set"), b"]" + text("x") + b"a")
REDUCED = PROTO + SET + b"."

CLASSES = {
    1: ("a callable that no list has", [
        Case("mailbox.mbox", whole(lambda m: call(name("mailbox", "mbox"), text(str(m)))), "mailbox.mbox",
             twin=REDUCED),
        Case("profile", whole(lambda m: call(name("bdb", "Bdb")) + b"0" + run(m)), "bdb.Bdb")]),
    2: ("a hidden load of another model", [
        Case("joblib.load", whole(lambda m: call(name("joblib", "load"), text(f"{m}.inner"))), "joblib.load",
             needs="joblib",
             files={".inner": inner}),
        Case("numpy.load", whole(lambda m: call(name("numpy", "load"), text(f"{m}.inner"), b"N\x88")), "numpy.load",
             needs="numpy",
             files={".inner": inner})]),
    3: ("trampolines", [
        Case("pydoc.locate", whole(lambda m: call(call(name("pydoc", "locate"), text("os.system")), command(m))),
             "pydoc.locate"),
        Case("attrgetter", whole(lambda m: call(call(call(name("operator", "attrgetter"), text("system")),
                                                     call(name("importlib", "import_module"), text("os"))),
                                                command(m))),
             "operator.attrgetter", twin=PROTO + call(name("operator", "itemgetter"), text("x")) + b"."),
        Case("partial", whole(lambda m: call(call(name("functools", "partial"), SYSTEM, command(m)))), "posix.system",
             twin=PROTO + call(name("functools", "partial"), name("builtins", "list")) + b"."),
        Case("getattr", whole(lambda m: call(attribute(call(name("builtins", "__import__"), text("os")), "system"),
                                             command(m))),
             "builtins.__import__", twin=PROTO + attribute(state(OBJECT, "x", b"K\1"), "x") + b".")]),
    4: ("dotted names", [
        Case("os through a module", whole(lambda m: call(name("pathlib", "os.system"), command(m))),
             "pathlib:os.system", until=(3, 13),
             twin=PROTO + b"]" + name("builtins", "str.lower") + b"a."),
        Case("sys.modules", whole(lambda m: call(name("json", "decoder.scanner.re.enum.sys.modules.__class__")) + b"0" +
                                  run(m)),
             "json:decoder.scanner.re.enum.sys.modules.__class__", fires=False)]),
    5: ("submodules and aliases", [
        Case("posix for os", whole(run), "posix.system"),
        Case("builtins under another name",
             whole(lambda m: call(name("tarfile", "bltn_open"), text(str(m)), text("w"))), "tarfile.bltn_open",
             twin=PROTO + call(name("_decimal", "Decimal"), text("1.5")) + b".")]),
    6: ("computed STACK_GLOBAL", [
        Case("from the memo", whole(lambda m: b"\x8c\x05posixq\x630\x8c\x06systemr\x64\0\0\x000hcg100\n\x93" +
                                    command(m) + b"\x85R"),
             "posix.system", twin=PROTO + b"\x8c\x0bcollectionsq\x630\x8c\x0bOrderedDictq\x640hchd\x93)R."),
        Case("MEMOIZE", whole(lambda m: b"\x8c\x05posix\x940\x8c\x06system\x940h\0h\1\x93" + command(m) + b"\x85R"),
             "posix.system",
             containers=("raw", "zip", "legacy", "npy", "gz", "xz")),
        Case("DUP and POP", whole(lambda m: b"\x8c\x05posix20N0\x8c\x06system20\x93" + command(m) + b"\x85R"),
             "posix.system"),
        Case("Python 2 strings", whole(lambda m: b"U\x05posixU\x06system\x93" + command(m) + b"\x85R"), "posix.system"),
        Case("after a dict", whole(lambda m: b"}\x8c\x05posix\x8c\x06systems0\x8c\x05posix(]1\x8c\x06system\x93" +
                                   command(m) + b"\x85R"),
             "posix.system")]),
    7: ("INST, OBJ, NEWOBJ, NEWOBJ_EX", [
        Case("INST", lambda m: f"(S\"touch '{m}'\"\niposix\nsystem\n.".encode(), "posix.system",
             twin=b"(icollections\nOrderedDict\n."),
        Case("OBJ", whole(lambda m: b"(" + SYSTEM + command(m) + b"o"), "posix.system",
             twin=PROTO + b"(ccollections\nOrderedDict\no."),
        Case("NEWOBJ", whole(lambda m: call(name("builtins", "list"),
                                            name("builtins", "map") + SYSTEM + b"]" + command(m) + b"a\x86\x81")),
             "builtins.map", effect="create", twin=PROTO + name("argparse", "Namespace") + b")\x81."),
        Case("NEWOBJ_EX", whole(lambda m: call(name("builtins", "list"),
                                               name("builtins", "filter") + SYSTEM + b"]" + command(m) +
                                               b"a\x86}\x92")),
             "builtins.filter", effect="create", twin=PROTO + name("argparse", "Namespace") + b")}\x92.")]),
    8: ("BUILD", [
        Case("second BUILD", whole(lambda m: state(OBJECT, "__setstate__", SYSTEM) + command(m) + b"b"), "posix.system",
             twin=PROTO + state(state(OBJECT, "x", b"K\1"), "y", b"K\2") + b"."),
        Case("BUILD of a class", whole(lambda m: name("argparse", "Namespace") + b"N}" + text("__setstate__") + SYSTEM +
                                       b"s\x86b0" +
                                       name("argparse", "Namespace") + b")\x81" + command(m) + b"b"),
             "argparse.Namespace",
             twin=PROTO + name("argparse", "Namespace") + b")\x81}" + text("x") + b"K\1sb."),
        Case("BUILD of a class that type() found",
             whole(lambda m: call(name("builtins", "type"), name("argparse", "Namespace") + b")\x81") +
                   b"N}" + text("__setstate__") + SYSTEM + b"s\x86b0" +
                   name("argparse", "Namespace") + b")\x81" + command(m) + b"b"), "?")]),
    9: ("SETITEM, APPENDS, ADDITEMS on what the stream did not make", [
        Case("a registry", whole(lambda m: name("copyreg", "_inverted_registry") + b"K\xf0" + text("posix") +
                                 text("system") + b"\x86s0" +
                                 b"\x82\xf0" + command(m) + b"\x85R"), "copyreg._inverted_registry",
             twin=PROTO + b"}K\xf0" + text("posix") + b"s."),
        Case("items of a list", whole(lambda m: name("sys", "path") + b"(" + text("/nowhere") + b"e0" + run(m)),
             "sys.path",
             twin=PROTO + b"](" + text("/nowhere") + b"e.")]),
    10: ("changes of protocol", [
        Case("dotted after a change",
             lambda m: b"\x80\x02N0\x80\x04" + call(old_name("pathlib", "os.system"), command(m)) + b".",
             "pathlib:os.system", until=(3, 13), twin=b"\x80\x02N0\x80\x04" + SET + b"."),
        Case("a name of Python 2", lambda m: b"c__builtin__\neval\n(" + f"V{code(m)}\n".encode() + b"tR.",
             "__builtin__.eval",
             twin=b"c__builtin__\nset\n((ltR."),
        Case("a module of Python 2", lambda m: b"ccommands\ngetoutput\n(" + f"Vtouch '{m}'\n".encode() + b"tR.",
             "commands.getoutput",
             twin=b"cUserList\nUserList\n)\x81.")]),
    11: ("a result that nobody uses", [
        Case("POP", whole(lambda m: run(m) + b"0N"), "posix.system", twin=PROTO + SET + b"0N."),
        Case("POP_MARK", whole(lambda m: b"(" + run(m) + b"1N"), "posix.system", twin=PROTO + b"(" + SET + b"1N."),
        Case("marks that nobody closes", whole(lambda m: b"(((" + run(m)), "posix.system",
             twin=PROTO + b"(((" + SET + b".")]),
    12: ("a broken tail", [
        Case("no STOP", lambda m: PROTO + run(m), "posix.system", twin=REDUCED),
        Case("an invalid opcode", lambda m: PROTO + run(m) + b"\xff\xff", "posix.system", twin=REDUCED),
        Case("cut in a length", lambda m: PROTO + run(m) + b"X\xff", "posix.system", twin=REDUCED)]),
    13: ("parsers that differ", [
        Case("I0x10", whole(lambda m: b"I0x10\n0" + run(m)), "posix.system", twin=PROTO + b"I0x10\n."),
        Case("L0x10L", whole(lambda m: b"L0x10L\n0" + run(m)), "posix.system", twin=PROTO + b"L0x10L\n."),
        Case("I5 and a NUL", whole(lambda m: b"I5\0\n0" + run(m)), "posix.system", c_only=True, twin=PROTO + b"I5\n."),
        Case("a frame that is too short", lambda m: PROTO + b"\x95" + struct.pack("<Q", 2) + b"N0" + run(m) + b".",
             "posix.system",
             twin=PROTO + b"\x95" + struct.pack("<Q", len(SET) + 1) + SET + b"."),
        Case("BYTEARRAY8 and infinity", whole(lambda m: b"\x96\3" + bytes(7) + b"abc0Finf\n0" + run(m)), "posix.system",
             twin=b"\x80\x05\x96\3" + bytes(7) + b"abc0Finf\n.")]),
    14: ("several streams", [
        Case("a second stream", lambda m: PROTO + b"N." + PROTO + run(m) + b".", "posix.system",
             containers=("raw", "gz", "xz"),
             twin=PROTO + b"N." + REDUCED),
        Case("behind zeros", lambda m: PROTO + b"N." + bytes(64) + PROTO + run(m) + b".", "posix.system",
             containers=("raw", "gz", "xz"),
             fires=False, twin=PROTO + b"N." + bytes(64) + REDUCED)]),
    15: ("the stream before PyTorch's magic number", [
        Case("instead of it", whole(run), "posix.system", containers=("legacy first",))]),
    16: ("the extension registry", [
        Case("EXT1", whole(lambda m: call(name("copyreg", "add_extension"), text("posix"), text("system"), b"K\xf1") +
                           b"0\x82\xf1" +
                           command(m) + b"\x85R"), "copyreg.extension_241")]),
    17: ("pickles in bytes", [
        Case("_pickle.loads", whole(lambda m: call(name("_pickle", "loads"), data(inner(m)))), "posix.system",
             twin=PROTO + b"]" + data(PROTO + b"K\1.") + b"a."),
        Case("below protocol 3", lambda m: b"c_pickle\nloads\n(c_codecs\nencode\n(" +
             text((inner(m)).decode("latin1")) + text("latin1") +
             b"tRtR.", "posix.system", twin=b"\x80\x02c_codecs\nencode\n(" + text("\u00e9") + text("latin1") + b"tR."),
        Case("a tensor's bytes", whole(lambda m: call(name("torch.storage", "_load_from_bytes"), data(inner(m)))),
             "posix.system",
             needs="torch", twin=PROTO + call(name("torch.storage", "_load_from_bytes"), data(PROTO + b"K\1.")) +
             b".")]),
    18: ("behind joblib's arrays", [
        Case("after raw bytes", whole(run), "posix.system", containers=("joblib",), twin=REDUCED)]),
    19: ("compression", [
        Case("the stream as a whole", whole(run), "posix.system", containers=("gz", "xz", "zlib", "ZF", "bz2"),
             twin=REDUCED)]),
    20: ("companion files", Elsewhere(
        "tests/python/test_streams_behind.py::test_companions",
        "a companion is judged when it is opened; paths elsewhere are denied")),
    21: ("arrays of objects", [
        Case("in .npy", whole(run), "posix.system", containers=("npy", "npz"), twin=REDUCED)]),
    22: ("zip archives that readers read differently", Elsewhere(
        "tests/python/test_containers.py::test_quarrels",
        "names, flags, sums, methods, duplicates, prefixes, several directories")),
    23: ("a name that lies about the content", [
        Case("safetensors by name", whole(run), "posix.system", containers=("raw as .safetensors",), twin=REDUCED)]),
    24: ("polyglots", [
        Case("an image and a zip", whole(run), "posix.system", containers=("zip behind PNG",), twin=REDUCED,
             twin_in="zip")]),
    25: ("PyTorch's tar", Elsewhere("tests/python/test_containers.py::test_torch_legacy_tar", "denied as a whole")),
    26: ("persistent ids", [
        Case("a class chosen by the file",
             whole(lambda m: b"(" + text("storage") + SYSTEM + text("0") + text("cpu") + b"K\1tQ"), "posix.system",
             effect="create", containers=("raw", "zip", "legacy", "gz", "xz"), fires=False,
             twin=PROTO + b"(" + text("storage") + name("torch", "FloatStorage") + text("0") + text("cpu") +
             b"K\0tQ.")]),
    27: ("torch.package", Elsewhere("tests/python/test_containers.py::test_torch_package",
                                    "code members are reported")),
    28: ("what makes scanners raise", [
        Case("odd but valid", whole(lambda m: b"(0I0b101\n0\x8a\x000L-0x_1\n0Finfinity\n0" + run(m)), "posix.system",
             twin=PROTO + b"(0I0b101\n0\x8a\x000N."),
        Case("Latin-1 in UNICODE", whole(lambda m: b"V\xe9\\u00e9\n0" + run(m)), "posix.system",
             twin=PROTO + b"V\xe9\\u00e9\n.")]),
    29: ("installers", [
        Case("pip", whole(lambda m: call(name("pip._internal.cli.main", "main"),
                                         b"](" + text("--log") + text(str(m)) + text("config") +
                                         text("list") + b"e")), "pip._internal.cli.main.main",
             containers=("raw", "gz"))]),
    30: ("files that are written", [
        Case("Path.write_text", whole(lambda m: call(name("pathlib", "Path.write_text"),
                                                     call(name("pathlib", "PosixPath"), text(str(m))),
                                                     text("x"))), "pathlib:Path.write_text",
             twin=PROTO + call(name("pathlib", "PosixPath"), text("x")) + b"."),
        Case("logging.FileHandler", whole(lambda m: call(name("logging", "FileHandler"), text(str(m)))),
             "logging.FileHandler",
             twin=PROTO + call(name("logging", "getLogger"), text("x")) + b"."),
        Case("a method handed on", whole(lambda m: call(name("numpy.random._pickle", "__generator_ctor"), text("x"),
                                                        attribute(call(name("pathlib", "PosixPath"), text(str(m))),
                                                                  "write_text"))),
             "numpy.random._pickle.__generator_ctor", needs="numpy",
             twin=PROTO + call(name("numpy.random._pickle", "__generator_ctor"), text("PCG64")) + b".")]),
    31: ("code objects", [
        Case("marshal", whole(marshalled), "marshal.loads", needs="venv")]),
    32: ("what happens later", [
        Case("atexit", whole(lambda m: call(name("atexit", "register"), SYSTEM, command(m))), "atexit.register",
             twin=PROTO + call(name("collections", "defaultdict"), name("builtins", "list")) + b"."),
        Case("a factory", whole(lambda m: call(name("collections", "defaultdict"), SYSTEM)), "posix.system",
             fires=False,
             twin=PROTO + call(name("collections", "defaultdict"), name("builtins", "int")) + b".")]),
    33: ("patching what is loaded", [
        Case("exec", whole(lambda m: call(name("builtins", "exec"),
                                          text(f"import argparse; argparse.Namespace.x = 1; {code(m)}"))),
             "builtins.exec"),
        Case("attributes of a listed class",
             whole(lambda m: name("collections", "Counter") + b"N}" + text("x") + b"Ns\x86b"),
             "collections:Counter.__dict__", effect="import", fires=False,
             twin=PROTO + name("collections", "Counter") + b")\x81}" + text("x") + b"Nsb.")]),
    34: ("encodings", [
        Case("escapes in UNICODE", whole(lambda m: b"V\\u0070osix\nV\\U00000073ystem\n\x93" + command(m) + b"\x85R"),
             "posix.system",
             twin=PROTO + b"V\\u0063ollections\nVOrderedDict\n\x93)R."),
        Case("escapes in STRING", whole(lambda m: b"S'p\\x6fsix'\nS's\\171stem'\n\x93" + command(m) + b"\x85R"),
             "posix.system",
             twin=PROTO + b"S'c\\x6fllections'\nS'OrderedDict'\n\x93)R.")]),
    35: ("bombs", [
        Case("marks", whole(lambda m: b"(" * 200000 + run(m)), "posix.system",
             twin=PROTO + b"(" * 1000 + b"1" * 1000 + b"N."),
        Case("a large index", whole(lambda m: b"Nr\0\0\x10\x000" + run(m)), "posix.system",
             twin=PROTO + b"Nr\0\1\0\0."),
        Case("a bad index and no end", lambda m: PROTO + run(m) + b"0Np99999999999999999999\n", "posix.system")]),
    36: ("a file that changes after it was judged",
         Elsewhere("tests/python/scenes/test_scene_swap.py::test_between_two_loads",
                   "no property of the file")),
    37: ("memory errors in the restricted unpickler", Elsewhere("tests/python/scenes/test_bad_input.py::test_outcomes",
                                                                "files are judged under weights_only, too")),
    38: ("an import and no call", [
        Case("a listed danger", whole(lambda m: b"]" + SYSTEM + b"a"), "posix.system", effect="import", fires=False,
             twin=PROTO + b"]" + name("builtins", "len") + b"a.")]),
}
# Not in that catalogue, but ways past it.
FURTHER = {
    "a": ("unlisted names handed as arguments", [
        Case("reduce", whole(lambda m: call(name("functools", "reduce"), name("posix", "mkdir"),
                                            b"](" + text(str(m)) + b"M\xff\1e")),
             "functools.reduce"),
        Case("by keyword", whole(lambda m: call(name("functools", "partial") + SYSTEM + command(m) + b"\x86}\x92")),
             "posix.system",
             twin=PROTO + name("functools", "partial") + name("builtins", "list") + b"\x85}\x92.")]),
    "b": ("_reconstructor with another base", [
        Case("copyreg", whole(lambda m: call(name("copyreg", "_reconstructor"), name("logging", "FileHandler"),
                                             name("logging", "FileHandler"),
                                             text(str(m)))), "logging.FileHandler",
             twin=PROTO + call(name("copyreg", "_reconstructor"), name("argparse", "Namespace"),
                               name("builtins", "object"), b"N") + b"."),
        Case("copy_reg", lambda m: call(old_name("copy_reg", "_reconstructor"), old_name("logging", "FileHandler"),
                                        old_name("logging", "FileHandler"), f"V{m}\n".encode()) + b".",
             "logging.FileHandler",
             twin=b"ccopy_reg\n_reconstructor\n(cargparse\nNamespace\nc__builtin__\nobject\nNtR.")]),
    "c": ("NEWOBJ of types that take a callable", [
        Case(f"{module}.{kind}", whole(lambda m, module=module, kind=kind, extra=extra: call(
            name("builtins", "list"), name(module, kind) + SYSTEM + b"](" + extra(m) + b"e\x86\x81")),
             f"{module}.{kind}", effect="create")
        for module, kind, extra in (("builtins", "map", command), ("builtins", "filter", command),
                                    ("itertools", "takewhile", command), ("itertools", "filterfalse", command),
                                    ("itertools", "starmap", lambda m: command(m) + b"\x85"))]),
    "d": ("setters of properties through BUILD", [
        Case("ZipFile.comment", whole(lambda m: name("zipfile", "ZipFile") + b")\x81N}" + text("comment") + data(b"x") +
                                      b"s\x86b"),
             "zipfile.ZipFile", effect="create", fires=False)]),
    "e": ("an attribute that a listed callee calls", [
        Case("keys", whole(lambda m: call(name("collections", "OrderedDict"),
                                          state(OBJECT, "keys",
                                                attribute(call(name("pathlib", "PosixPath"), text(str(m))), "touch")))),
             "?", twin=PROTO + call(name("collections", "OrderedDict"), b"}" + text("keys") + b"K\1s") + b"."),
        Case("__new__", whole(lambda m: call(name("copyreg", "__newobj__"),
                                             state(OBJECT, "__new__", name("logging", "FileHandler"))) +
                              b"0" + run(m)), "logging.FileHandler", fires=False)]),
    "f": ("a string out of a module", [
        Case("os.name", whole(lambda m: name("os", "name") + text("system") + b"\x93" + command(m) + b"\x85R"),
             "?.system")]),
}

# --- Containers ------------------------------------------------------------------------------------------------------


def torch_zip(stream):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, content in ("data.pkl", stream), ("byteorder",
                                                      b"little"), ("data/0", bytes(64)), ("version", b"3\n"):
            archive.writestr(f"archive/{member}", content)
    return buffer.getvalue()


def legacy(stream):
    head = [pickle.dumps(value, 2)
            for value in (0x1950a86a20f9469cfc6c, 1001, {"protocol_version": 1001, "little_endian": True,
                          "type_sizes": {"short": 2, "int": 4, "long": 4}})]
    return b"".join(head) + stream + pickle.dumps([], 2)


JOBLIB_HEAD = []


def joblib_file(stream):
    """An array, as joblib writes it, and then the stream within the same one."""
    if not JOBLIB_HEAD:
        import joblib
        import numpy
        buffer = io.BytesIO()
        joblib.dump([numpy.arange(4.0)], buffer, protocol=2)
        JOBLIB_HEAD.append(buffer.getvalue()[:-1] + b"0")
    return JOBLIB_HEAD[0] + stream


def npy(stream):
    header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + stream


def npz(stream):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy(stream))
    return buffer.getvalue()


def zf(stream):
    return b"ZF" + hex(len(stream)).encode().ljust(19) + zlib.compress(stream)


def behind_png(stream):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + bytes(4) + torch_zip(stream)


# name -> (how it is written, suffix, its loader)
CONTAINERS = {
    "raw": (bytes, ".pkl", "pickle"), "zip": (torch_zip, ".pt", "torch"), "legacy": (legacy, ".pth", "torch"),
    "legacy first": (bytes, ".pth", "torch"), "joblib": (joblib_file, ".joblib", "joblib"),
    "npy": (npy, ".npy", "numpy"),
    "npz": (npz, ".npz", "numpy"), "gz": (lambda stream: gzip.compress(stream, mtime=0), ".pkl.gz", "gzip"),
    "xz": (lzma.compress, ".pkl.xz", "lzma"), "bz2": (bz2.compress, ".pkl.bz2", "bz2"),
    "zlib": (zlib.compress, ".z", "joblib"),
    "ZF": (zf, ".z", "joblib"), "raw as .safetensors": (bytes, ".safetensors", "pickle"),
    "zip behind PNG": (behind_png, ".png", "zipfile"),
}
# What the analyzer may not look into yet: these columns are alive once a benign pickle in them is recognised.
LATER = ("xz", "bz2")


# --- Loading, for real -----------------------------------------------------------------------------------------------

def load_all_of(file):
    while True:
        pickle.load(file)


def load(loader, path):
    if loader == "torch":
        import torch
        torch.load(path, weights_only=False)
    elif loader == "joblib":
        import joblib
        joblib.load(path)
    elif loader == "numpy":
        import numpy
        loaded = numpy.load(path, allow_pickle=True)
        getattr(loaded, "files", None) and loaded["a"]
    elif loader == "zipfile":
        pickle.loads(zipfile.ZipFile(path).read("archive/data.pkl"))
    else:
        with {"pickle": open, "gzip": gzip.open, "lzma": lzma.open, "bz2": bz2.open}[loader](path, "rb") as file:
            load_all_of(file)


def load_each(manifest):
    for loader, path in json.loads(Path(manifest).read_text()):
        try:
            load(loader, path)
        except Exception as error:
            print(f"{path}: {error!r}"[:200])
        if "__setstate__" in vars(argparse.Namespace):  # of class 8, so that the next one begins anew
            del argparse.Namespace.__setstate__


# --- Files -----------------------------------------------------------------------------------------------------------

@dataclass
class Cell:
    row: object  # number or letter of the class
    case: Case
    container: str
    evil: Path
    twin: Path
    marker: Path

    @property
    def loader(self):
        return CONTAINERS[self.container][2]

    def __str__(self):
        return f"{self.row} {self.case.title} in {self.container}"


def cases():
    for row, (title, entries) in {**CLASSES, **FURTHER}.items():
        for case in entries if isinstance(entries, list) else []:
            for container in case.containers:
                if not (case.c_only and CONTAINERS[container][2] == "joblib"):
                    yield row, case, container


def alive(folder):
    """The containers that the analyzer looks into."""
    dead = set()
    for container in LATER:
        path = folder / f"alive-{container}"
        path.write_bytes(CONTAINERS[container][0](REDUCED))
        if not scan([path])[str(path)]["format"]:
            dead.add(container)
    return set(CONTAINERS) - dead


def write(folder):
    """Writes every malicious file and every twin; returns the cells."""
    cells = []
    containers = alive(folder)
    for number, (row, case, container) in enumerate(cases()):
        if container not in containers:
            continue
        wrap, suffix, _ = CONTAINERS[container]
        marker = folder / "markers" / f"m{number}"
        cell = Cell(row, case, container, folder / f"{number}-evil{suffix}", folder / f"{number}-twin{suffix}", marker)
        cell.evil.write_bytes(wrap(case.evil(marker)))
        cell.twin.write_bytes(CONTAINERS[case.twin_in or container][0](case.twin))
        marker.parent.mkdir(exist_ok=True)
        for companion, content in case.files.items():
            Path(f"{marker}{companion}").write_bytes(content(marker))
        cells.append(cell)
    return cells


def scan(paths):
    """path -> the line that `guard scan` prints of it."""
    done = subprocess.run([COMMAND, "scan", "--format", "json", "--files-from", "-"], input="\n".join(map(str, paths)),
                          stdout=subprocess.PIPE, text=True)
    return {line["path"]: line for line in map(json.loads, done.stdout.splitlines())}


def reason(cell, line):
    """The finding that denies the malicious file for the stated reason, or None."""
    for finding in line["findings"]:
        if (finding["decision"], finding["effect"], finding["name"]) == ("deny", cell.case.effect, cell.case.name):
            return finding
    return None


# --- The table -------------------------------------------------------------------------------------------------------

def table():
    """One row a class: the rule that denies it in each container; "-" where the combination does not exist."""
    with tempfile.TemporaryDirectory() as temporary:
        cells = write(Path(temporary))
        lines = scan([path for cell in cells for path in (cell.evil, cell.twin)])
    columns = [*EVERYWHERE, "others"]
    yield "| class | what it is | " + " | ".join(columns) + " |"
    yield "|---" * (2 + len(columns)) + "|"
    for row, (title, entries) in {**CLASSES, **FURTHER}.items():
        if isinstance(entries, Elsewhere):
            yield f"| {row} | {title} | " + f"`{entries.where}`: {entries.why}" + " |" * len(columns) + " |"
            continue
        shown = {}
        for cell in (cell for cell in cells if cell.row == row):
            found = reason(cell, lines[str(cell.evil)])
            twin = lines[str(cell.twin)]["verdict"]
            result = found["rule"] if found and twin == "allow" else f"MISSED ({cell.case.title}, twin {twin})"
            column = cell.container if cell.container in EVERYWHERE else "others"
            result = result if column == cell.container else f"{cell.container}: {result}"
            shown.setdefault(column, [])
            if result not in shown[column]:
                shown[column].append(result)
        yield f"| {row} | {title} | " + " | ".join(", ".join(shown.get(column, ["-"])) for column in columns) + " |"


if __name__ == "__main__":
    if sys.argv[1:2] == ["load"]:
        load_each(sys.argv[2])
    else:
        print("\n".join(table()))

"""Every callable that the standard library, numpy and torch offer, every known gadget and every name of published
models: called from a pickle, each is denied at rest unless the policy lists exactly that name."""
import collections
import json
import os
import subprocess
import sys

import pytest

from callables_pickle import canonical, called, deepest, judge, name, splits, text
from conftest import COMMAND, ROOT

DATA = ROOT / "tests" / "data"
AT_A_TIME = 100_000  # names for which the memory of one scan suffices
# Argument lists that decide for rows that look at arguments.
ARGUMENTS = {"none": [], "one text": [text("x")], "two texts": [text("x"), text("y")]}
# What a rule may allow to be called: the ids of rules, each with how many names of these packages it allows at most.
ALLOWING = {
    "stdlib-value": 460, "known-exception": 80, "numpy-value": 12, "torch-value": 23, "torchscript-list": 6,
    "factory": 3, "flags": 3,
    "plain-object": 4, "random-generator": 4, "array-of-type": 1, "iterator": 1, "type-of-value": 1, "attribute": 1,
    "bytes-from-text": 2, "generic-type": 1, "tensor-subclass": 2, "nested-tensor-bytes": 1, "ufunc": 2,
}


@pytest.fixture(scope="session")
def offered(tmp_path_factory):
    """(module, qualified name) of everything that can be called."""
    folder = tmp_path_factory.mktemp("callables")
    environment = {**os.environ, "HOME": str(folder), "TMPDIR": str(folder), "CUDA_VISIBLE_DEVICES": ""}
    script = ROOT / "tests" / "python" / "callables.py"
    with open(folder / "names", "wb") as names, open(folder / "complaints", "wb") as complaints:
        subprocess.run([sys.executable, script, "stdlib", "numpy", "torch"], cwd=folder, env=environment,
                       stdin=subprocess.DEVNULL,
                       stdout=names, stderr=complaints, check=True, timeout=300)
    lines = (folder / "names").read_bytes().decode("utf-8", "surrogateescape").splitlines()
    return [tuple(line.split("\t")) for line in lines]


def test_enough_is_offered(offered):
    packages = collections.Counter(module.partition(".")[0] for module, _ in offered)
    assert packages["torch"] > 100_000 and packages["numpy"] > 10_000 and len(offered) > 200_000
    for expected in ("os", "system"), ("posix", "system"), ("subprocess",
                                                            "Popen"), ("torch.hub", "load"), ("pathlib", "Path.unlink"):
        assert expected in offered


def every_call(pairs):
    """Each name, called with each of the argument lists."""
    return (called(name(*pair), *arguments) for pair in pairs for arguments in ARGUMENTS.values())


def test_called_is_denied_unless_listed(offered, tmp_path):
    wanted = {canonical(*pair) for pair in offered}
    told, allowed = set(), collections.defaultdict(set)
    for start in range(0, len(offered), AT_A_TIME):
        for effect in judge(tmp_path / "x", *every_call(offered[start:start + AT_A_TIME])):
            told.add(effect.name)
            if effect.kind == "call" and effect.decision != "deny":
                allowed[effect.rule].add(effect.name)
    assert not wanted - told, sorted(wanted - told)[:10]
    listed = {pattern for rule in json.loads((ROOT / "policy" / "default.json").read_text())["rules"]
              for pattern in rule.get("match", [])}
    for rule, names in allowed.items():
        print(f"{rule}: {' '.join(sorted(names))}")
        assert len(names) <= ALLOWING.get(rule, 0), (rule, names)
        assert names <= listed, names - listed


def test_each_that_is_allowed_has_its_reason():
    rules = json.loads((ROOT / "policy" / "default.json").read_text())["rules"]
    allowing = [rule for rule in rules if rule["then"] == "allow" and "call" in rule["effect"] and "match" in rule]
    assert allowing and all(len(rule["why"]) > 10 for rule in allowing)


# Gadgets that are how ordinary values are pickled: allowed with ordinary arguments, and denied with these.
OBJECT = name("argparse", "Namespace") + b")\x81"
EVIL = name("posix", "system")
METHOD = name("builtins", "getattr") + b"(" + OBJECT + text("run") + b"tR"
GUARDED = {
    "builtins.type": [text("T"), b")", b"}"],
    "builtins.getattr": [name("os", "path"), text("__builtins__")],
    "__builtin__.getattr": [name("os", "path"), text("__builtins__")],
    "collections.defaultdict": [EVIL],
    "functools.partial": [EVIL],
    "copyreg._reconstructor": [name("m", "C"), EVIL, text("id")],
    "copyreg.__newobj__": [EVIL],
    "copyreg.__newobj_ex__": [EVIL, b")", b"}"],
    "operator.itemgetter": [EVIL],
    "_codecs.encode": [text("x"), text("rot13")],
    "codecs.encode": [text("x"), text("zlib")],
}


def gadgets():
    rows = [line.split("\t") for line in (DATA / "gadgets.tsv").read_text().splitlines() if not line.startswith("#")]
    assert len(rows) > 700
    return [row[0] for row in rows]


def test_gadgets_are_denied(tmp_path):
    # "os.*": any name there that no rule lists.
    pairs = [pair for gadget in gadgets() if gadget not in GUARDED for pair in splits(gadget.replace("*", "anything"))]
    allowed = [effect for effect in judge(tmp_path / "x", *every_call(pairs)) if effect.kind == "call"
               and effect.decision != "deny"]
    assert not allowed, allowed


@pytest.mark.parametrize("gadget", GUARDED)
def test_gadgets_that_ordinary_pickles_use(gadget, tmp_path):
    told = judge(tmp_path / "x", called(name(*gadget.rpartition(".")[::2]), *GUARDED[gadget]))
    assert deepest(told) == "deny", told


@pytest.mark.parametrize("arguments", [[METHOD], [text("x"), METHOD], [METHOD, name("torch", "Tensor"), b")", b"}"]],
                         ids=["first", "second", "four"])
def test_methods_are_not_handed_to_whoever_calls_them(arguments, tmp_path):
    """What is allowed with ordinary arguments, with a method of an object that the stream made."""
    for callee in (("numpy.random._pickle", "__generator_ctor"), ("numpy.random._pickle", "__randomstate_ctor"),
                   ("numpy.random._pickle", "__bit_generator_ctor"), ("torch._tensor", "_rebuild_from_type_v2"),
                   ("builtins", "dict"), ("collections", "OrderedDict"), ("builtins", "iter")):
        assert deepest(judge(tmp_path / "x", called(name(*callee), *arguments))) == "deny", callee


# What reducers of published models are called with.
TENSOR = [text("storage") + b"Q", b"K\0", b"(K\1t", b"(K\1t", b"\x89", name("collections", "OrderedDict") + b")R"]
USUAL = {
    "torch._utils._rebuild_tensor_v2": TENSOR,
    "torch._utils._rebuild_parameter": [OBJECT, b"\x88", name("collections", "OrderedDict") + b")R"],
    "collections.OrderedDict": [],
    "collections.defaultdict": [name("builtins", "list")],
    "torch.Size": [b"(K\1K\2t"],
    "torch.device": [text("cpu")],
    "builtins.set": [b"]"],
    "pathlib.PosixPath": [text("/"), text("x")],
    "dill._dill._load_type": [text("dict")],
    "torch.nn.backends.thnn._get_thnn_function_backend": [],
    "ultralytics.utils.IterableSimpleNamespace": [],
    "ultralytics.yolo.utils.IterableSimpleNamespace": [],
    "pyannote.audio.core.task.Problem": [b"K\0"],
    "pyannote.audio.core.task.Resolution": [b"K\1"],
    "numpy.core.multiarray._reconstruct": [name("numpy", "ndarray"), b"(K\0t", b"C\1b"],
    "numpy.core.multiarray.scalar": [name("numpy", "dtype") + b"(" + text("f8") + b"\x89\x88tR", b"C\x08abcdefgh"],
    "numpy.dtype": [text("f8"), b"\x89", b"\x88"],
    "_codecs.encode": [text("\u00e9"), text("latin1")],
    "torch._tensor._rebuild_from_type_v2": [name("torch._utils", "_rebuild_tensor_v2"), name("torch", "Tensor"),
                                            b"(" + b"".join(TENSOR) + b"t", b"}"],
    "_io.BytesIO": [b"C\3abc"],
    "transformers.trainer_utils.IntervalStrategy": [text("no")],
    "transformers.trainer_utils.SchedulerType": [text("linear")],
    "builtins.getattr": [name("torch.nn.modules.module", "Module"), text("forward")],
    "torch.storage._load_from_bytes": [b"C\x05\x80\x02K\1."],
    "numpy.random._pickle.__generator_ctor": [text("PCG64"), name("numpy.random._pickle", "__bit_generator_ctor")],
    "numpy.random._pickle.__bit_generator_ctor": [name("numpy.random._pcg64", "PCG64")],
    "functools.partial": [METHOD],
}


@pytest.mark.parametrize("callee", USUAL)
def test_usual_calls_are_allowed(callee, tmp_path):
    module, _, qualified = callee.rpartition(".")
    told = judge(tmp_path / "x", called(name(module, qualified), *USUAL[callee]))
    assert any(effect.kind == "call" and effect.name == callee for effect in told)
    assert deepest(told) == "allow", [effect for effect in told if effect.decision != "allow"]


def benign_globals():
    rows = [line.split("\t") for line in (DATA / "benign_globals.tsv").read_text().splitlines()
            if not line.startswith("#")]
    assert len(rows) > 1100
    return rows


def test_names_of_published_models_may_appear(tmp_path):
    published = [row[0] for row in benign_globals() if int(row[2]) and row[3] != "dangerous"]
    told = judge(tmp_path / "x", *(name(*full.rpartition(".")[::2]) + b"0" for full in published))
    assert {effect.name for effect in told} == set(published)
    assert all(effect.decision == "allow" for effect in told), [effect for effect in told if effect.decision != "allow"]


def test_what_other_scanners_wrongly_allow(tmp_path):
    dangerous = [row[0] for row in benign_globals() if row[3] == "dangerous"]
    assert len(dangerous) == 14
    for full in dangerous:
        module, _, qualified = full.rpartition(".")
        assert deepest(judge(tmp_path / "x", called(name(module, qualified), text("x")))) == "deny", full


def test_the_command_agrees(tmp_path):
    """One of each through the command itself."""
    for callee, verdict in (("posix.getpid", "deny"), ("torch.hub.load", "deny"), ("builtins.set", "allow")):
        path = tmp_path / "x.pkl"
        path.write_bytes(b"\x80\x04" + called(name(*callee.rpartition(".")[::2])) + b"N.")
        out = subprocess.run([COMMAND, "scan", "--format", "json", path], stdout=subprocess.PIPE, text=True).stdout
        assert json.loads(out)["verdict"] == verdict

"""What pickles take of objects by getattr(), which no event tells of, and hand on to be called later: judged as the
names that they are, wherever the bytes came from."""
import json

import pytest

from conftest import Scene
from evasions import PROTO, attribute, call, command, old_name, state, text
from interpreters import every_interpreter

INTERPRETERS = every_interpreter()

# Stands for what pip installed: objects that look names up, start programs, or are harmless.
PACKAGE = """
    import enum, importlib, os

    class Lazy:
        module = "math"
        def __init__(self, module):
            self.module = module
        def __getattr__(self, name):
            return getattr(importlib.import_module(self.module), name)

    class Tool:
        def start(self, line):
            os.system(line)

    class Colour(enum.Enum):
        RED = 1
        class Inner: pass

    class Outer:
        class Inner: pass
"""

# Loads each pickle in a way of its own, and calls what came out: the deed is the application's, long after the load.
LOAD = """
    import enum, gzip, io, json, pickle, sys, zlib

    class Colour(enum.Enum):
        RED = 1

    class Own:
        def method(self, *_):
            return "called"
        class Inner: pass

    class Quiet(pickle.Unpickler):
        pass

    def from_file(data):
        with open("one.bin", "wb") as file:
            file.write(zlib.compress(data))
        with open("one.bin", "rb") as file:
            return pickle.loads(zlib.decompress(file.read()))

    def as_file(data):
        with open("one.pkl", "wb") as file:
            file.write(data)
        with open("one.pkl", "rb") as file:
            return pickle.load(file)

    WAYS = {
        "loads": pickle.loads,
        "bytearray": lambda data: pickle.loads(bytearray(data)),
        "view": lambda data: pickle.loads(memoryview(b"_" + data)[1:]),
        "load": lambda data: pickle.load(io.BytesIO(data)),
        "buffered": lambda data: pickle.load(io.BufferedReader(io.BytesIO(data))),
        "subclass": lambda data: Quiet(io.BytesIO(data)).load(),
        "pure": pickle._loads,
        "pure-file": lambda data: pickle._Unpickler(io.BytesIO(data)).load(),
        "nested": lambda data: pickle.loads(pickle.loads(pickle.dumps(data))),
        "unpacked": from_file,
        "file": as_file,
    }
    for case, way, data in json.load(open(sys.argv[1])):
        try:
            value = WAYS[way](bytes.fromhex(data))
            if callable(value):
                value()
            print(case, way, "done")
        except Exception as error:
            print(case, way, type(error).__name__, str(error)[:14])
"""
WAYS = ("loads", "bytearray", "view", "load", "buffered", "subclass", "pure", "pure-file", "nested", "unpacked", "file")

PARTIAL = old_name("functools", "partial")


def of(module, qualified):
    return old_name(module, qualified)


def walk(marker):
    """os.system, by way of a function's globals."""
    found = call(attribute(attribute(of("logging", "getLogger"), "__globals__"), "get"), text("os"))
    return call(PARTIAL, attribute(found, "system"), command(marker))


def lazy(marker):
    return call(PARTIAL, attribute(call(of("installed", "Lazy"), text("os")), "system"), command(marker))


def created(marker):
    made = state(of("installed", "Lazy") + b")\x81", "module", text("os"))
    return call(PARTIAL, attribute(made, "system"), command(marker))


def method(marker):
    return call(PARTIAL, attribute(of("installed", "Tool") + b")\x81", "start"), command(marker))


def unbound(marker):
    return call(PARTIAL, attribute(of("installed", "Tool"), "start"), b"N", command(marker))


EVIL = {case.__name__: case for case in (walk, lazy, created, method, unbound)}

OWN = old_name("__main__", "Own")
BENIGN = {
    "own-method": attribute(OWN + b")\x81", "method"),
    "own-partial": call(PARTIAL, attribute(OWN + b")\x81", "method"), text("argument")),
    "own-member": attribute(old_name("__main__", "Colour"), "RED"),
    "own-inner": attribute(OWN, "Inner") + b")\x81",
    "installed-member": attribute(of("installed", "Colour"), "RED"),
    "installed-inner": attribute(of("installed", "Outer"), "Inner") + b")\x81",
    "listed-method": attribute(call(of("decimal", "Decimal"), text("1")), "is_zero"),
    "listed-member": attribute(of("signal", "Signals"), "SIGINT"),
}


@pytest.fixture(params=INTERPRETERS)
def scene(tmp_path, request):
    if request.config.option.no_guard:
        pytest.skip("--no-guard")
    scene = Scene(tmp_path, python=INTERPRETERS[request.param])
    scene.write("site-packages/installed.py", PACKAGE)
    scene.write("load.py", LOAD)
    return scene


def run(scene, cases, mode):
    scene.clear_markers()
    scene.path("cases.json").write_text(json.dumps(cases))
    done = scene.run_python("load.py", "cases.json", mode=mode, env={"PYTHONPATH": scene.path("site-packages")})
    assert done.returncode == 0, str(done)
    return done, {path.name for path in scene.path("markers").iterdir()}


def test_what_is_called_later(scene):
    cases = [(case, way, (PROTO + evil(scene.marker(f"{case}-{way}")) + b".").hex())
             for case, evil in EVIL.items() for way in WAYS]
    every = {f"{case}-{way}" for case, way, _ in cases}
    without, markers = run(scene, cases, "")
    assert markers == every, str(without)
    enforce, markers = run(scene, cases, "enforce")
    wrong = [line for line in enforce.stdout.splitlines() if " PermissionError " not in line]
    assert not markers and not wrong, "\n".join(wrong) + str(enforce)
    audit, markers = run(scene, cases, "audit")
    assert markers == every and audit.stdout == without.stdout, str(audit)
    told = {record["name"] for record in audit.denials}
    assert {"logging:getLogger.__globals__", "installed:Lazy.system", "installed:Tool.start"} <= told, str(audit)


def test_what_ordinary_pickles_take(scene):
    cases = [(case, way, (PROTO + benign + b".").hex()) for case, benign in BENIGN.items() for way in WAYS]
    without, _ = run(scene, cases, "")
    assert len(without.stdout.splitlines()) == len(cases) and "Error" not in without.stdout, str(without)
    enforce, _ = run(scene, cases, "enforce")
    assert enforce.stdout == without.stdout and enforce.stderr == "" and not enforce.denials, str(enforce)


METHODS = """
    import functools, io, json, os, pickle, sys
    import numpy, pandas, xgboost

    array, frame = numpy.arange(3), pandas.DataFrame({"a": [1]})
    booster = xgboost.train({}, xgboost.DMatrix(array.reshape(3, 1), label=array), 1)
    EVIL = {
        "tofile": functools.partial(array.tofile, "markers/tofile"),
        "dump": functools.partial(array.dump, "markers/dump"),
        "scalar": functools.partial(array[1].dump, "markers/scalar"),
        "to_csv": functools.partial(frame.to_csv, "markers/to_csv"),
        "to_pickle": functools.partial(frame["a"].to_pickle, "markers/to_pickle"),
        "to_string": functools.partial(frame.to_string, "markers/to_string"),
        "class": functools.partial(pandas.DataFrame.to_json, frame, "markers/class"),
        "save_model": functools.partial(booster.save_model, "markers/save_model.json"),
    }
    BENIGN = {
        "sum": functools.partial(array.sum), "head": functools.partial(frame.head, 1), "describe": frame["a"].mean,
        "predict": functools.partial(booster.num_boosted_rounds),
    }
    pickles = {name: pickle.dumps(value, 4) for name, value in {**EVIL, **BENIGN}.items()}
    if sys.argv[1:] == ["write"]:
        for name, data in pickles.items():
            open(name + (".evil.pkl" if name in EVIL else ".fine.pkl"), "wb").write(data)
        sys.exit()
    for name, data in pickles.items():
        for way in pickle.loads, pickle._loads, lambda data: pickle.load(io.BytesIO(data)):
            try:
                way(data)()
                print(name, "done")
            except PermissionError as error:
                print(name, str(error)[:13])
"""


def test_methods_that_write(tmp_path, request):
    if request.config.option.no_guard:
        pytest.skip("--no-guard")
    scene = Scene(tmp_path)
    script = scene.write("methods.py", METHODS)
    scene.clear_markers()
    without = scene.run_python(script)
    fired = {path.stem for path in scene.path("markers").iterdir()}
    assert without.returncode == 0 and len(fired) == 8, str(without)
    scene.clear_markers()
    enforce = scene.run_python(script, mode="enforce")
    said = dict(line.split(" ", 1) for line in enforce.stdout.splitlines())
    assert {name for name, word in said.items() if word == "guard: denied"} == fired, str(enforce)
    done = {name for name, word in said.items() if word == "done"}
    assert done == {"sum", "head", "describe", "predict"}, str(enforce)
    assert not list(scene.path("markers").iterdir()), str(enforce)
    scene.run_python(script, "write")
    lines = [json.loads(line) for line in scene.guard("scan", "--format", "json", tmp_path).stdout.splitlines()]
    verdicts = {line["path"].split("/")[-1]: line["verdict"] for line in lines if line["path"].endswith(".pkl")}
    assert len(verdicts) == 12, str(verdicts)
    assert all((verdict == "deny") == name.endswith(".evil.pkl") for name, verdict in verdicts.items()), str(verdicts)


LAYERS = """
    import sys
    sys.path.insert(0, "site-packages")
    import io, pickle, torch
    from layers import Layer

    layer = Layer()
    layer.register_forward_pre_hook(layer.note)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    buffer = io.BytesIO()
    torch.save([layer, optimizer.step], buffer)
    torch.save([layer, optimizer.step], "model.pt")
    for file in io.BytesIO(buffer.getvalue()), "model.pt":
        loaded, step = torch.load(file, weights_only=False)
        loaded(torch.ones(1, 2))
        print(loaded.noted, step.__name__)
    print(pickle.loads(pickle.dumps(layer.note)).__name__)
"""
PACKAGE_OF_LAYERS = """
    import torch

    class Layer(torch.nn.Linear):
        def __init__(self):
            super().__init__(2, 2)
            self.noted = 0
        def note(self, module, arguments):
            self.noted += 1
"""


def test_hooks_of_an_installed_package_s_layers(tmp_path, request):
    if request.config.option.no_guard:
        pytest.skip("--no-guard")
    scene = Scene(tmp_path)
    scene.write("site-packages/layers.py", PACKAGE_OF_LAYERS)
    script = scene.write("layers_app.py", LAYERS)
    without, enforce = (scene.run_python(script, mode=mode) for mode in ("", "enforce"))
    assert without.returncode == 0 and without.stdout.count("1 step") == 2, str(without)
    assert enforce.stdout == without.stdout and enforce.stderr == without.stderr and not enforce.denials, str(enforce)

"""The live ring alone: a test policy lets every file and every name pass where the analyzer looks, so that what is
stopped is stopped at the moment it happens. `make check` draws a few functions; `make check-drawn` the whole."""
import json
import os
import subprocess
import sys

import pytest

import evasions
from conftest import ROOT
from test_evasions import expected, load

PROGRAM = ROOT / "tests" / "python" / "drawn_callables.py"
COUNT = int(os.environ.get("DRAWN", 24))
SEED = int(os.environ.get("DRAWN_SEED", 20261126))
PUT_OFF = ("thread", "executor", "atexit", "finalizer", "del")
EFFECTS = ["import", "create", "call", "depend", "code", "read", "write", "exec", "connect", "native", "malformed",
           "opaque"]
AT_LOAD = {"effect": EFFECTS, "when": ["load"], "then": "allow", "why": "a test: only the live ring acts"}
# Names pass as well: what is left is what whoever runs does.
NAMES = {"effect": ["import", "create", "call"], "when": ["live"], "then": "allow",
         "why": "a test: only deeds are judged"}

PATH, VICTIM = ["markers/new"], ["victim"]
COMMAND, CODE = ["touch markers/command"], ["open('markers/code', 'w').close()"]
# Functions that do act, each as attackers use it.
ACTING = [
    ["posix", "system", [COMMAND]], ["subprocess", "call", [[["touch", "markers/command"]]]],
    ["subprocess", "getoutput", [COMMAND]], ["os", "spawnvp", [[0, "touch", ["touch", "markers/command"]]]],
    ["pty", "spawn", [[["touch", "markers/command"]]]],
    ["builtins", "eval", [CODE]], ["builtins", "exec", [CODE]], ["timeit", "timeit", [CODE]],
    ["cProfile", "run", [CODE]],
    ["runpy", "run_path", [["evil.py"]]],
    ["io", "open", [[*PATH, "w"]]], ["codecs", "open", [[*PATH, "w"]]], ["gzip", "open", [[*PATH, "w"]]],
    ["bz2", "open", [[*PATH, "w"]]], ["zipfile", "ZipFile", [[*PATH, "w"]]], ["tarfile", "open", [[*PATH, "w"]]],
    ["shelve", "open", [PATH]], ["sqlite3", "connect", [PATH]], ["logging", "FileHandler", [PATH]],
    ["tempfile", "mkdtemp", [["", "", "markers"]]],
    ["os", "mkdir", [PATH]], ["os", "makedirs", [PATH]], ["os", "mkfifo", [PATH]],
    ["os", "symlink", [["victim", *PATH]]],
    ["os", "link", [["victim", *PATH]]], ["os", "rename", [["victim", "markers/moved"]]], ["os", "remove", [VICTIM]],
    ["os", "truncate", [["victim", 0]]], ["os", "unlink", [VICTIM]], ["shutil", "rmtree", [["folder"]]],
    ["shutil", "move", [["victim", "markers/moved"]]], ["shutil", "copyfile", [["victim", *PATH]]],
    ["socket", "create_connection", [[("127.0.0.1", "PORT")]]],
    ["urllib.request", "urlopen", [["http://127.0.0.1:PORT/"]]],
    ["ctypes", "CDLL", [["./evil.so"]]], ["_ctypes", "dlopen", [["./evil.so", 2]]],
    ["joblib", "dump", [["text", *PATH]]], ["numpy", "save", [[*PATH, 1]]], ["numpy", "savetxt", [[*PATH, [1]]]],
]


@pytest.fixture
def folder(tmp_path, request):
    if request.config.option.no_guard:
        pytest.skip("--no-guard")
    (tmp_path / "evil.c").write_text('#include <fcntl.h>\n__attribute__((constructor)) static void go(void)'
                                     '{ creat("markers/native", 0600); }\n')
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "evil.so", tmp_path / "evil.c"], check=True)
    (tmp_path / "evil.py").write_text("open('markers/script', 'w').close()\n")
    for name, rules in {"names": [AT_LOAD], "deeds": [AT_LOAD, NAMES]}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"version": 1, "rules": rules}))
    return tmp_path


def attempt(folder, callables, *ways, policy=None):
    """[module, name, ways, said, effects] of each."""
    (folder / "list.json").write_text(json.dumps(callables))
    guarded = {"LD_PRELOAD": str(ROOT / "build" / "libguard.so"), "GUARD_QUIET": "1", "GUARD_LOG": str(folder / "log"),
               "GUARD_POLICY": str(folder / f"{policy}.json")} if policy else {}
    (folder / "home").mkdir(exist_ok=True)
    run = subprocess.run([sys.executable, PROGRAM, "try", "list.json", *ways], cwd=folder, capture_output=True,
                         text=True,
                         env={"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "LANG": "C.UTF-8",
                              "PYTHONWARNINGS": "ignore", **guarded})
    assert run.returncode == 0, run.stdout + run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def drawn():
    where = "all" if COUNT > 100 else "quick"
    found = subprocess.run([sys.executable, PROGRAM, "draw", str(COUNT), str(SEED), where], capture_output=True,
                           text=True, check=True)
    return json.loads(found.stdout)


@pytest.mark.parametrize("policy", ["names", "deeds"])
def test_catalogued_evasions(folder, policy):
    """Every class of evasions.py in every container, which fires without the guard (test_evasions.py)."""
    (folder / "evasions").mkdir()
    cells = evasions.write(folder / "evasions")
    assert len(expected(cells, sys.version_info, True)) > 200
    ran, done = load(cells, sys.executable, LD_PRELOAD=str(ROOT / "build" / "libguard.so"), GUARD_QUIET="1",
                     GUARD_POLICY=str(folder / f"{policy}.json"))
    # That atexit keeps a call, the interpreter tells nobody: it is stopped by the name alone.
    left = {cell.case.title for cell in ran}
    assert left == ({"atexit"} if policy == "deeds" else set()), left


def without_effect(lines):
    return [line for line in lines if line[4]]


def test_functions_that_act(folder):
    """At once and put off, by a helper of the application's own: each has an effect without the guard, none with it."""
    without = attempt(folder, ACTING, "bytes")[:-1] + attempt(folder, ACTING[::7], *PUT_OFF)[:-1]
    silent = [line for line in without if not line[4]]
    assert not silent, silent
    for policy, tried in {"names": [",".join(["bytes", *PUT_OFF])], "deeds": ["bytes", "thread,executor"]}.items():
        lines = attempt(folder, ACTING, *tried, policy=policy)
        assert not without_effect(lines), without_effect(lines)
        assert policy == "deeds" or all(line[3] == ["denied"] for line in lines[:-1]), lines


def test_drawn_functions(folder):
    callables = drawn()
    print(f"{COUNT} functions, seed {SEED}: {[f'{module}.{name}' for module, name, _ in callables]}")
    would = [line for line in attempt(folder, callables, "plain")[:-1] if line[3] not in ([], ["ended"]) or line[4]]
    print(f"{len(would)} of them would have had an effect: {[(line[1], line[3]) for line in would]}")
    by_name = [[module, name, many[:1]] for module, name, many in callables]
    lines = attempt(folder, by_name, ",".join(["bytes", "file", *PUT_OFF]), policy="names")
    assert not without_effect(lines), without_effect(lines)
    allowed = [line for line in lines[:-1] if "done" in line[3]]
    print(f"{len(allowed)} may be called by a pickle: {[f'{line[0]}.{line[1]}' for line in allowed]}")
    lines = attempt(folder, callables, "bytes", "file,thread", policy="deeds")
    assert not without_effect(lines), without_effect(lines)

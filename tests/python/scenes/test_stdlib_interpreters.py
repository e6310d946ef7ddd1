"""The standard-library scenes on the oldest and the newest CPython here, on 3.11, and on Debian's own python3, whose
unpickler lies inside the executable."""
import base64
import bz2
import dbm.dumb
import gzip
import lzma
import pickle
import tempfile
import textwrap
import zipfile
from pathlib import Path

import pytest

import scene_classes
from conftest import AttackCases, function_name
from interpreters import every_interpreter
from make_models import payload, payload_bytes


def choose_interpreters():
    """name -> path, or None where this machine lacks one: a visible skip."""
    found = every_interpreter()
    debian = found.pop("distribution", None)
    versions = sorted(found, key=lambda version: [int(part) for part in version.split(".")])
    return {"oldest": found[versions[0]] if versions else None,
            "3.11": next((found[version] for version in versions if version.startswith("3.11.")), None),
            "newest": found[versions[-1]] if versions else None,
            "debian": debian}


INTERPRETERS = choose_interpreters()


@pytest.fixture(scope="module", params=INTERPRETERS)
def python(request):
    path = INTERPRETERS[request.param]
    if path is None:
        pytest.skip(f"no such interpreter here: {request.param} (CPythons are looked for under pyenv's versions)")
    return str(path)


@pytest.fixture
def old_scene(scene, python):
    scene.python = python
    return scene


LOADS = {
    "pickle.load": ("pickle4", "pickle.load(open(FILE, 'rb'))"),
    "pickle.load, protocol 0": ("pickle0", "pickle.load(open(FILE, 'rb'))"),
    "pickle.load, protocol 2": ("pickle2", "pickle.load(open(FILE, 'rb'))"),
    "pickle.load, unbuffered": ("pickle4", "pickle.load(open(FILE, 'rb', buffering=0))"),
    "pickle._load": ("pickle4", "pickle._load(open(FILE, 'rb'))"),
    "loads of bytes read": ("pickle4", "pickle.loads(open(FILE, 'rb').read())"),
    "loads of a mapping": ("pickle4", "with open(FILE, 'rb') as file:\n"
                                      "    pickle.loads(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))"),
    "loads of os.read": ("pickle4", "pickle.loads(os.read(os.open(FILE, os.O_RDONLY), 1 << 20))"),
    "open by dir_fd": ("pickle4", "fd = os.open(os.path.basename(FILE), os.O_RDONLY,\n"
                                  "             dir_fd=os.open(os.path.dirname(FILE), os.O_RDONLY))\n"
                                  "pickle.load(os.fdopen(fd, 'rb'))"),
    "gzip": ("gzip", "pickle.load(gzip.open(FILE))"),
    "bz2": ("bz2", "pickle.load(bz2.open(FILE))"),
    "xz": ("xz", "pickle.load(lzma.open(FILE))"),
    "a zip's member": ("zip", "pickle.loads(zipfile.ZipFile(FILE).read('model.pkl'))"),
    "shelve": ("shelve", "shelve.Shelf(dbm.dumb.open(FILE, 'r'))['model']"),
    "a thread": ("pickle4", """
        result = []
        def case_a_thread():
            try:
                result.append(pickle.load(open(FILE, 'rb')))
            except Exception as error:
                result.append(error)
        thread = threading.Thread(target=case_a_thread)
        thread.start()
        thread.join()
        if isinstance(result[0], Exception):
            raise result[0]
    """),
}

PRELUDE = "import base64, bz2, dbm.dumb, gzip, lzma, mmap, os, pickle, shelve, threading, zipfile"


def write_poisoned(kind, path, hook):
    protocol = int(kind[6:]) if kind.startswith("pickle") else 4
    data = pickle.dumps({"weights": [1.0], "hook": hook}, protocol)
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("model.pkl", data)
    elif kind == "shelve":
        with dbm.dumb.open(str(path), "c") as database:
            database["model"] = data
    else:
        packed = {"gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(kind, bytes)(data)
        path.write_bytes(packed)


@pytest.fixture(scope="module")
def attacks(make_scene, python):
    scene = make_scene("stdlib", python)
    bodies = {}
    for name, (kind, body) in LOADS.items():
        function = function_name(name)
        path = scene.path(function + ".bin")
        write_poisoned(kind, path, payload(scene.marker(function)))
        bodies[name] = textwrap.dedent(body).replace("FILE", repr(str(path)))
    for name, load in {"pickle.loads": "pickle.loads(data)", "pickle._loads": "pickle._loads(data)"}.items():
        data = base64.b64encode(payload_bytes(scene.marker(function_name(name))))
        bodies[name] = f"data = base64.b64decode({data})\n{load}"
    return AttackCases(scene, scene.cases("stdlib.py", PRELUDE, bodies), bodies)


@pytest.mark.parametrize("name", [*LOADS, "pickle.loads", "pickle._loads"])
def test_poisoned(attacks, name):
    attacks.check(name)


def test_poisoned_whole(attacks):
    attacks.check_whole()


def test_traceback_and_line(old_scene):
    """What a person sees: the program's own traceback, and a line that names the file, the call and who asked."""
    old_scene.path("model.pkl").write_bytes(payload_bytes(old_scene.marker()))
    script = old_scene.write("infer.py", """
        import pickle

        def load_model(path):
            with open(path, "rb") as file:
                return pickle.load(file)

        load_model("model.pkl")
    """)
    _, enforce, audit = old_scene.attack(script)
    assert "PermissionError: [Errno 13] Permission denied: 'model.pkl'" in enforce.stderr, str(enforce)
    line = enforce.guard_lines[0]
    assert "model.pkl: " in line and "system(" in line and "infer.py:5" in line, str(enforce)
    record = next(record for record in enforce.asked_by(script, "load_model") if record["effect"] == "call")
    assert record["v"] == 1 and "system" in record["name"], str(record)
    assert record["path"] == str(old_scene.path("model.pkl")), str(record)
    assert [(frame["line"], frame["function"]) for frame in record["by"]["python"]][:2] == \
        [(5, "load_model"), (8, "<module>")], str(record)
    assert audit.guard_lines[0] == line.replace("denied", "would deny"), str(audit)


def test_live_message(old_scene):
    """Bytes that never were a file are denied as the name is resolved, with the guard's own message."""
    data = base64.b64encode(payload_bytes(old_scene.marker()))
    script = old_scene.write("live.py", f"""
        import base64, pickle
        pickle.loads(base64.b64decode({data}))
    """)
    _, enforce, _ = old_scene.attack(script)
    assert "PermissionError: guard: " in enforce.stderr, str(enforce)


def test_swallowed_denial(old_scene):
    """A program that swallows a denial and goes on leaves a record that says so."""
    old_scene.path("model.pkl").write_bytes(payload_bytes(old_scene.marker()))
    old_scene.path("clean.pkl").write_bytes(pickle.dumps({"weights": [1.0]}))
    script = old_scene.write("stubborn.py", """
        import pickle
        for name in ("model.pkl", "clean.pkl"):
            try:
                with open(name, "rb") as file:
                    print(sorted(pickle.load(file)))
            except OSError as error:
                print(type(error).__name__)
    """)
    if old_scene.no_guard:
        pytest.skip("--no-guard: nothing is denied")
    old_scene.clear_markers()
    enforce = old_scene.run_python(script, mode="enforce")
    assert enforce.stdout == "PermissionError\n['weights']\n" and enforce.returncode == 0, str(enforce)
    last = max(record["seq"] for record in enforce.denials)
    assert any(record["seq"] > last and "swallowed" in (record["why"] or "")
               for record in enforce.records), str(enforce)


def test_child_with_empty_environment(old_scene):
    old_scene.path("model.pkl").write_bytes(payload_bytes(old_scene.marker()))
    child = old_scene.write("child.py", "import pickle\nprint(sorted(pickle.load(open('model.pkl', 'rb'))))\n")
    script = old_scene.write("parent.py", """
        import subprocess, sys
        sys.exit(subprocess.run([sys.executable, "child.py"], env={}).returncode)
    """)
    old_scene.attack(script, asker=child)


WORKERS = """
import multiprocessing, os, pickle

def load(path):
    with open(path, "rb") as file:
        return sorted(pickle.load(file))

if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        for number in range(4):
            open("file-%d" % number, "w").close()
        with context.Pool(2) as pool:
            pool.map(os.remove, ["file-%d" % number for number in range(4)])
            print(method, pool.map(load, ["clean.pkl"] * 4), os.path.exists("file-0"), flush=True)
            {poison}
"""


def test_workers(old_scene):
    old_scene.path("clean.pkl").write_bytes(pickle.dumps({"weights": [1.0]}))
    script = old_scene.path("workers.py")
    script.write_text(WORKERS.format(poison=""))
    old_scene.benign(script)


def test_workers_load_poison(old_scene):
    old_scene.path("clean.pkl").write_bytes(pickle.dumps({"weights": [1.0]}))
    for method in ("fork", "spawn", "forkserver"):
        old_scene.path(f"{method}.pkl").write_bytes(payload_bytes(old_scene.marker(method)))
    script = old_scene.path("workers.py")
    script.write_text(WORKERS.format(poison="""
            try:
                print(pool.map(load, [method + ".pkl"]), flush=True)
            except PermissionError as error:
                print("PermissionError", flush=True)
    """))
    _, enforce, _ = old_scene.attack(script, marker="spawn")
    assert enforce.markers == [], str(enforce)
    assert enforce.stdout.count("PermissionError") == 3, str(enforce)
    assert len({record["pid"] for record in enforce.asked_by(script, "load")}) == 3, str(enforce)


def test_swap(old_scene):
    old_scene.path("clean.pkl").write_bytes(pickle.dumps({"weights": [1.0]}))
    old_scene.path("poisoned.pkl").write_bytes(payload_bytes(old_scene.marker()))
    script = old_scene.write("swap.py", """
        import pickle, shutil

        def load():
            with open("model.pkl", "rb") as file:
                return sorted(pickle.load(file))

        shutil.copyfile("clean.pkl", "model.pkl")
        print(load(), flush=True)
        shutil.copyfile("poisoned.pkl", "model.pkl")
        print(load(), flush=True)
    """)
    _, enforce, _ = old_scene.attack(script)
    assert enforce.stdout == "['weights']\n", f"the first load must work\n{enforce}"


@pytest.mark.parametrize("where", ["__main__", "a package", "a folder below /tmp"])
def test_own_classes(old_scene, where):
    """Dumped and loaded in one process, then loaded in another one."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if "/tmp" in where else old_scene.folder
        if where == "a package":
            old_scene.write("shapes/__init__.py", "")
            old_scene.write("shapes/kinds.py", scene_classes.CLASSES)
            old_scene.write("main.py", scene_classes.FROM_PACKAGE.format(module="shapes.kinds"))
        else:
            (folder / "main.py").write_text(scene_classes.MAIN)
        (folder / "pickles").mkdir()
        for what in ("dump", "load"):
            without, _ = old_scene.benign(folder / "main.py", what, folder / "pickles")
            assert "FAILED" not in without.stdout and "False" not in without.stdout, str(without)


def test_values(old_scene):
    old_scene.path("main.py").write_text(scene_classes.MAIN_VALUES)
    old_scene.path("pickles").mkdir()
    without, _ = old_scene.benign(old_scene.path("main.py"), "dump", old_scene.path("pickles"))
    assert "FAILED" not in without.stdout


def test_nothing_to_say(old_scene):
    """A program that loads no model prints nothing, and leaves no more than its start record."""
    script = old_scene.write("plain.py", """
        import json, logging, sqlite3, subprocess, tempfile, urllib.request, xml.dom.minidom
        json.loads("{}")
        subprocess.run(["true"], check=True)
        with tempfile.TemporaryFile() as file:
            file.write(b"x")
        sqlite3.connect(":memory:").execute("select 1")
        eval(compile("1 + 1", "<here>", "eval"))
        print("done")
    """)
    _, enforce = old_scene.benign(script)
    assert {record["event"] for record in enforce.records} <= {"start"}, str(enforce)



DEVELOPER = """
    import pickle, sys

    class Thing:
        pass

    with open("thing.pkl", "wb") as file:
        pickle.dump(Thing(), file)
    with open("thing.pkl", "rb") as file:
        print(type(pickle.load(file)).__name__)
    try:
        with open("poisoned.pkl", "rb") as file:
            pickle.load(file)
    except PermissionError:
        print("refused")
"""


@pytest.mark.parametrize("switches", ["dev", "tracemalloc"])
def test_developer_modes(old_scene, switches):
    """Other allocators than the one that was there when the guard put its hook in: interpreters end as they should."""
    old_scene.path("poisoned.pkl").write_bytes(payload_bytes(old_scene.marker()))
    run = old_scene.run([old_scene.python, "-X", switches, old_scene.write("developer.py", DEVELOPER)], mode="enforce")
    assert (run.returncode, run.stdout) == (0, "Thing\nrefused\n"), str(run)
    assert "OUCH" not in run.stderr and len(run.guard_lines) == 1, str(run)


def test_imports_from_an_archive(old_scene):
    """An archive is opened for every module that is imported from it, and judged once: also within the seconds in which
    its times tell nothing."""
    with zipfile.ZipFile(old_scene.path("library.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(200):
            archive.writestr(f"part{number}.py", f"value = {number}\n" + "# text\n" * 500)
    script = old_scene.write("imports.py", """
        import importlib, sys, time
        sys.path.insert(0, "library.zip")
        open("library.zip", "r+b").close()
        parts = [importlib.import_module("part%d" % number) for number in range(200)]
        with open("/proc/self/io") as file:
            calls = dict(line.split(": ") for line in file)["syscr"]
        print(sum(part.value for part in parts))
        print(int(calls), file=sys.stderr)
    """)
    without, enforce = old_scene.benign(script)
    assert without.stdout == "19900\n"
    assert int(enforce.stderr) < int(without.stderr) + 200 * 120, f"judged at each import: {without}{enforce}"

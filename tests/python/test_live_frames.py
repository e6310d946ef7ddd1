"""Who asked, read from the thread's own frames without the GIL: the records' Python frames against what Python says
itself, and the programs that a guard which took the GIL would stop for good."""
import json
import os
import pickle
import subprocess

import pytest

from conftest import Scene
from interpreters import every_interpreter

INTERPRETERS = every_interpreter()
RECORDED = 16  # frames of a record that these programs stay below


class Poison:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.fixture(params=INTERPRETERS)
def python(request):
    return INTERPRETERS[request.param]


@pytest.fixture
def scene(tmp_path, python, request):
    if request.config.option.no_guard:
        pytest.skip("--no-guard: there is nothing to compare")
    return Scene(tmp_path, python=python)


# Each case calls look(), which opens a poisoned pickle of the case's own; under audit that is recorded and goes on.
PROGRAM = r'''
import json, sys, threading
count = 0
def look():
    global count
    count += 1
    path = "poison-%d.pkl" % count
    told = []; frame = sys._getframe(); open(path, "rb").close()
    while frame is not None:
        told.append([frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name]); frame = frame.f_back
    told[0][1] = 7
    print(json.dumps([path, told]))

def plain(): look()

def many_lines():
    value = [
        1,
        2,
        look(),
        3,
    ]
    return value

def loop():
    for value in range(3):
        if value == 1:
            try:
                raise ValueError(
                    value)
            except ValueError:
                look()
            finally:
                value = 7

def generator():
    yield 1
    yield from inner()
def inner():
    look()
    yield 2

class Class:
    def __init__(self): look()
    def __del__(self): look()
    @property
    def attribute(self): return look()
    def __len__(self): look(); return 3

def deep(n):
    return look() if n == 0 else deep(n - 1)

def grüße(): look()
def 名前(): look()
def 𝒻(): look()

exec(compile("def far_down():\n" + "    a = 1\n" * 700 + "    look()\n" + "    a = 2\n" * 300, "über/名.py", "exec"))
exec(compile("def wide():\n    return [" + "1," * 3000 + "\n look()," + "2," * 3000 + "]", "wide.py", "exec"))
exec(compile("def hidden(): look()", "/very/long/" + "x" * 300 + "/end.py", "exec"))

plain()
many_lines()
loop()
list(generator())
made = Class()
made.attribute
len(made)
del made
deep(7)
grüße()
名前()
𝒻()
far_down()
wide()
hidden()
list(map(lambda n: look(), [1]))
sorted([2, 1], key=lambda n: n == 1 and look() or n)
[look() for n in range(2)]
thread = threading.Thread(target=plain, name="other"); thread.start(); thread.join()
'''


def shown(file):
    """How the guard cuts a file name: from the front, to fit 256 bytes."""
    if len(file.encode()) < 256:
        return file
    while len(("..." + file).encode()) > 255:
        file = file[1:]
    return "..." + file


def test_frames_are_those_that_python_tells(scene):
    script = scene.write("program.py", PROGRAM.lstrip("\n"))
    assert 'open(path, "rb")' in script.read_text().splitlines()[7 - 1], "look() claims the line of its open()"
    for number in range(1, 41):
        scene.path(f"poison-{number}.pkl").write_bytes(pickle.dumps(Poison(), 2))
    run = scene.run_python(script, mode="audit", env={"PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"})
    assert run.returncode == 0, str(run)
    told = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(told) >= 20, str(run)
    for path, frames in told:
        records = [record for record in run.denials if record["path"] == str(scene.path(path))]
        assert records, f"no record of {path}\n{run}"
        recorded = [[frame["file"], frame["line"], frame["function"]] for frame in records[0]["by"]["python"]]
        expected = [[shown(file), line, function] for file, line, function in frames]
        assert recorded == expected[:len(recorded)] and len(recorded) >= min(len(expected), RECORDED), \
            f"{path}\n{recorded}\n{expected}"


@pytest.fixture(scope="session")
def threads_library(tmp_path_factory):
    library = tmp_path_factory.mktemp("native") / "libthreads.so"
    source = os.path.join(os.path.dirname(__file__), "native", "threads.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-pthread", "-o", library, source], check=True)
    return library


def test_a_mutex_of_the_programs_own_against_the_gil(scene, threads_library):
    """One thread opens a model while it holds a C mutex; the other waits for the mutex with the GIL."""
    scene.path("poison.pkl").write_bytes(pickle.dumps(Poison(), 2))
    script = scene.write("deadlock.py", '''
        import ctypes, sys, threading, time
        without_gil, with_gil = ctypes.CDLL(sys.argv[1]), ctypes.PyDLL(sys.argv[1])
        thread = threading.Thread(target=without_gil.open_under_mutex)
        thread.start()
        time.sleep(.05)
        with_gil.wait_for_mutex()
        thread.join()
        print("done")
    ''')
    for mode in ("", "enforce", "audit"):
        run = scene.run_python(script, threads_library, mode=mode, timeout=30)
        assert run.returncode == 0 and "done" in run.stdout, str(run)
    assert run.asked_by("threading.py", "run"), f"the frames of a thread that does not hold the GIL are missing\n{run}"


def test_a_thread_that_outlives_the_interpreter(scene, threads_library):
    scene.path("poison.pkl").write_bytes(pickle.dumps(Poison(), 2))
    script = scene.write("late.py", '''
        import ctypes, pickle, sys
        pickle.loads(pickle.dumps(ValueError(1)))  # the guard has learnt all it ever learns
        ctypes.CDLL(sys.argv[1]).open_later()
    ''')
    without = scene.run_python(script, threads_library, timeout=30)
    assert "opened after the end: 1" in without.stderr, str(without)
    enforce = scene.run_python(script, threads_library, mode="enforce", timeout=30)
    assert enforce.returncode == 0 and "opened after the end: 0" in enforce.stderr, str(enforce)
    (late,) = loads(enforce)
    assert late["python"] == [] and late["no_python"] == "the interpreter ends", str(enforce)
    assert "libthreads.so" in objects(late), late


def loads(run):
    """Who asked for what was not loaded."""
    return [record["by"] for record in run.denials if record["event"] == "load"]


def objects(by):
    return {os.path.basename(frame["object"]) for frame in by["native"]}


def test_a_thread_that_runs_no_python(scene, threads_library):
    """Another's thread, whoever started it: the record says why it names no lines, and names the library."""
    scene.path("poison.pkl").write_bytes(pickle.dumps(Poison(), 2))
    script = scene.write("aside.py", """
        import ctypes, sys
        ctypes.CDLL(sys.argv[1]).open_aside()
        try: open("poison.pkl")
        except PermissionError: pass
    """)
    enforce = scene.run_python(script, threads_library, mode="enforce")
    aside, own = loads(enforce)
    assert aside["python"] == [] and aside["no_python"] == "the thread runs no Python", str(enforce)
    assert "libthreads.so" in objects(aside), aside
    assert own["python"] and own["no_python"] is None, own


def test_threads_walk_while_others_fork(scene):
    """A fork copies whatever another thread's walk holds; the child must walk, not wait."""
    scene.path("poison.pkl").write_bytes(pickle.dumps(Poison(), 2))
    script = scene.write("forks.py", '''
        import os, pickle, sys, threading
        stop = False
        def walk():
            while not stop:
                try: pickle.load(open("poison.pkl", "rb"))
                except PermissionError: pass
        threads = [threading.Thread(target=walk) for _ in range(3)]
        for thread in threads: thread.start()
        for _ in range(60):
            child = os.fork()
            if child == 0:
                try: pickle.load(open("poison.pkl", "rb"))
                except PermissionError: os._exit(7)
                os._exit(1)
            assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 7
        stop = True
        for thread in threads: thread.join()
        print("done")
    ''')
    run = scene.run_python(script, mode="enforce", env={"GUARD_QUIET": "1"}, timeout=120)
    assert run.returncode == 0 and "done" in run.stdout, str(run)

"""Inside an unpickler, whatever it is called by: deeds are denied, what interrupts or is imported is not, and talk
between a program's own processes is its own business. The pickles are bytes that never were a file, so that only the
live ring acts."""
import os
import subprocess
import textwrap
from pathlib import Path

import pytest

from conftest import Scene
from interpreters import every_interpreter

INTERPRETERS = every_interpreter()


@pytest.fixture(params=INTERPRETERS)
def python(request):
    return INTERPRETERS[request.param]


@pytest.fixture
def scene(tmp_path, python, request):
    if request.config.option.no_guard:
        pytest.skip("--no-guard")
    (tmp_path / "markers").mkdir()
    return Scene(tmp_path, python=python)


PRELUDE = r'''
import io, os, pickle, sys

class Call:
    """A pickle that calls function(*arguments)."""
    def __init__(self, function, *arguments): self.what = function, arguments
    def __reduce__(self): return self.what

class Quiet(pickle.Unpickler):
    pass
class Overriding(pickle.Unpickler):
    def find_class(self, module, name): return super().find_class(module, name)
class Pure(pickle._Unpickler):
    def find_class(self, module, name): return super().find_class(module, name)

LOADERS = {
    "loads": pickle.loads,
    "load": lambda data: pickle.load(io.BytesIO(data)),
    "Unpickler": lambda data: pickle.Unpickler(io.BytesIO(data)).load(),
    "subclass": lambda data: Quiet(io.BytesIO(data)).load(),
    "overriding": lambda data: Overriding(io.BytesIO(data)).load(),
    "_loads": pickle._loads,
    "pure": lambda data: Pure(io.BytesIO(data)).load(),
}
'''

# The functions are the application's own, which may be named and called; what they do in an unpickler may not happen.
DEEDS = PRELUDE + r'''
import marshal, shutil, socket, subprocess, tempfile
try: import ctypes
except ImportError: ctypes = None
CODE = marshal.dumps(compile("open('markers/code', 'w')", "x", "exec"))

def run(): subprocess.run(["touch", "markers/run"])
def system(): os.system("touch markers/system")
def spawn(): os.spawnvp(os.P_WAIT, "touch", ["touch", "markers/spawn"])
def posix_spawn(): os.waitpid(os.posix_spawn("/usr/bin/touch", ["touch", "markers/posix_spawn"], {}), 0)
def popen(): os.popen("touch markers/popen").read()
def write(): open("markers/write", "w").close()
def os_open(): os.close(os.open("markers/os_open", os.O_WRONLY | os.O_CREAT))
def mkdir(): os.mkdir("markers/mkdir")
def remove(): os.remove("victim"); open("markers/remove", "w").close()
def rename(): os.rename("victim", "markers/rename")
def link(): os.link("victim", "markers/link")
def symlink(): os.symlink("victim", "markers/symlink")
def truncate(): os.truncate("victim", 0); open("markers/truncate", "w").close()
def copy(): shutil.copyfile("victim", "markers/copy")
def rmtree(): shutil.rmtree("tree"); open("markers/rmtree", "w").close()
def temporary(): tempfile.mkdtemp(dir="markers")
def connect():
    with socket.socket() as s: s.connect(("127.0.0.1", 9))
def resolve(): socket.getaddrinfo("localhost", 80)
def native(): ctypes.CDLL(None).getpid()
def code(): exec(marshal.loads(CODE))
def source(): eval(compile("open('markers/source', 'w')", "x", "eval"))
ALL = [run, system, spawn, posix_spawn, popen, write, os_open, mkdir, remove, rename, link, symlink, truncate, copy,
       rmtree, temporary, connect, resolve, code, source] + [native] * (ctypes is not None)

for deed in ALL:
    for name, loader in LOADERS.items():
        open("victim", "w").close(); os.makedirs("tree", exist_ok=True)
        data = pickle.dumps(Call(deed), 2)
        try:
            loader(data)
            print(deed.__name__, name, "done")
        except BaseException as error:
            print(deed.__name__, name, type(error).__name__, str(error)[:7])
        if "once" in sys.argv: break
'''


def test_deeds_below_every_unpickler(scene):
    script = scene.write("deeds.py", DEEDS)
    without = scene.run_python(script, "once")
    assert without.returncode == 0, str(without)
    enforce_markers_before = set(os.listdir(scene.path("markers")))
    assert {"run", "system", "write", "code", "rename", "copy"} <= enforce_markers_before, str(without)
    scene.clear_markers()
    enforce = scene.run_python(script, mode="enforce")
    assert enforce.returncode == 0, str(enforce)
    wrong = [line for line in enforce.stdout.splitlines() if not line.endswith(" PermissionError guard: ")]
    assert not wrong and len(enforce.stdout.splitlines()) >= 7 * 20, "\n".join(wrong) + f"\n{enforce}"
    assert os.listdir(scene.path("markers")) == [], str(enforce)
    assert all(record["origin"] == "unpickler" for record in enforce.denials), str(enforce)
    assert enforce.asked_by(script, "mkdir"), str(enforce)


def test_deeds_in_audit_happen_and_are_told(scene):
    script = scene.write("deeds.py", DEEDS)
    without = scene.run_python(script, "once")
    scene.clear_markers()
    audit = scene.run_python(script, "once", mode="audit")
    assert audit.stdout == without.stdout and audit.returncode == 0, str(audit)
    told = {frame["function"] for record in audit.denials for frame in record["by"]["python"]}
    assert {"run", "system", "write", "mkdir", "connect", "code"} <= told, str(audit)


UNTOUCHED = PRELUDE + r'''
import gc, signal, subprocess, threading, time, weakref

def writes(): open("made", "w").close(); os.remove("made"); os.putenv("A", "B"); subprocess.run(["true"])

def loads_importing():
    """Modules of the application that do things while they are imported, by statement and by import_module()."""
    for name, loader in LOADERS.items():
        for module in "doer", "lazy":
            for loaded in "doer", "lazy", "inner": sys.modules.pop(loaded, None)
            function = b"c" + module.encode() + b"\nvalue\n)R."
            print(name, module, loader(function))

class Slow:
    def __getstate__(self): return 1
    def __setstate__(self, state): time.sleep(.02)

def interrupted_by_signal():
    signal.signal(signal.SIGALRM, lambda *_: (writes(), print("handled")))
    data = pickle.dumps([Slow() for _ in range(20)], 2)
    for loader in LOADERS.values():
        signal.setitimer(signal.ITIMER_REAL, .1)
        loader(data)

class Thing: pass
def interrupted_by_gc():
    data = pickle.dumps([Thing()] + [[number] for number in range(20000)], 2)
    for loader in LOADERS.values():
        thing = Thing(); thing.itself = thing
        weakref.finalize(thing, lambda: (writes(), print("finalized")))
        del thing
        loader(data)
        gc.collect()

def value(): return 1
def stale():
    """Deeds at every depth right after a load, on stacks that still hold its leftovers."""
    data = pickle.dumps(Call(value), 2)
    def deep(n): return writes() if n == 0 else deep(n - 1)
    for loader in LOADERS.values():
        loader(data)
        writes()
        for depth in (1, 2, 3, 5, 9, 30): deep(depth)
        list(map(lambda _: writes(), [1])); sorted([1], key=lambda _: writes()); eval("writes()")
        class Writing:
            def __del__(self): writes()
        Writing()
        try: loader(data[:-1] + b"\x00")
        except pickle.UnpicklingError: writes()
        except KeyError: writes()

def beside():
    """A thread that writes while another is inside an unpickler."""
    data = pickle.dumps([Slow() for _ in range(20)], 2)
    thread = threading.Thread(target=pickle.loads, args=(data,)); thread.start()
    while thread.is_alive(): writes()
    thread.join()

for case in loads_importing, interrupted_by_signal, interrupted_by_gc, stale, beside: case(); print(case.__name__)
'''

DOER = '''
import os, subprocess, marshal
open("made", "w").close(); os.remove("made"); subprocess.run(["true"])
exec(marshal.loads(marshal.dumps(compile("a=1", "x", "exec"))))
def value(): return "{}"
'''


def test_what_is_not_the_unpicklers_doing(scene):
    scene.write("doer.py", DOER.format("doer"))
    scene.write("inner.py", DOER.format("inner"))
    scene.write("lazy.py", '''
        import importlib
        def __getattr__(name):
            return getattr(importlib.import_module("inner"), name)
    ''')
    script = scene.write("untouched.py", UNTOUCHED)
    scene.benign(script)


IPC = PRELUDE + r'''
import multiprocessing, subprocess, threading
from multiprocessing.connection import Client, Listener
from concurrent.futures import ProcessPoolExecutor

def touch(path): open(path, "w").close(); return path
def system(command): return os.system(command)

def pools():
    for method in multiprocessing.get_all_start_methods():
        with multiprocessing.get_context(method).Pool(2) as pool:
            paths = ["%s%d" % (method, number) for number in range(4)]
            pool.map(touch, paths)
            pool.map(os.remove, paths)
            print(method, pool.apply(os.system, ("exit 3",)), pool.map(len, ["a", "bc"]))
    with ProcessPoolExecutor(2) as executor:
        print(executor.submit(os.system, "exit 3").result(), executor.submit(subprocess.call, ["true"]).result())

def talk(family):
    listener = Listener(family=family, authkey=b"x")
    def serve():
        with Client(listener.address, authkey=b"x") as client: client.send(os.system)
    thread = threading.Thread(target=serve); thread.start()
    with listener.accept() as connection: received = connection.recv()
    thread.join(); listener.close()
    return received

def queues():
    queue = multiprocessing.Queue(); queue.put(os.system); print(queue.get())
    one, other = multiprocessing.Pipe(); one.send(os.system); print(other.recv())
    print(talk("AF_UNIX"))
    # The same loop reads from pipes and loads its own: neither lends the other its name.
    for _ in range(3):
        pickle.loads(pickle.dumps(Call(len, "abc"), 2))
        one.send(os.system); other.recv()
'''


def test_talk_between_own_processes(scene):
    script = scene.write("ipc.py", IPC + '\nif __name__ == "__main__": pools(); queues()\n')
    scene.benign(script)


def test_what_only_looks_like_talk(scene):
    script = scene.write("no_ipc.py", IPC + r'''
POISON = pickle.dumps(Call(os.system, "touch markers/poison"), 2)

def receive(connection): return connection.recv()

class Outer:
    """A pickle from outside that receives something while it is loaded."""
    def __init__(self, state=None): pass
    def __getstate__(self): return 1
    def __setstate__(self, state):
        one, other = multiprocessing.Pipe(); one.send_bytes(POISON); other.recv()

def attempt(name, function, *arguments):
    try: print(name, function(*arguments), "done")
    except PermissionError as error: print(name, str(error)[:14])

def after_a_pipe():
    one, other = multiprocessing.Pipe()
    one.send(os.getpid); other.recv()
    pickle.loads(POISON)

def from_a_fifo():
    os.mkfifo("fifo")
    threading.Thread(target=lambda: open("fifo", "wb").write(POISON)).start()
    with open("fifo", "rb") as fifo: pickle.load(fifo)

def bytes_from_a_pipe():
    one, other = multiprocessing.Pipe()
    one.send_bytes(POISON)
    pickle.loads(other.recv_bytes())

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(1) as pool: attempt("worker", pool.apply, pickle.loads, (POISON,))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        attempt("spawned worker", pool.apply, pickle.loads, (POISON,))
    attempt("enclosed", pickle.loads, pickle.dumps(Outer(), 2))
    attempt("after a pipe", after_a_pipe)
    attempt("network", talk, "AF_INET")
    attempt("fifo", from_a_fifo)
    attempt("bytes", bytes_from_a_pipe)
''')
    run = scene.run_python(script, mode="enforce")
    assert os.listdir(scene.path("markers")) == [], str(run)
    assert run.stdout.splitlines() == [f"{name} guard: denied " for name in (
        "worker", "spawned worker", "enclosed", "after a pipe", "network", "fifo", "bytes")], str(run)


def test_a_stack_deeper_than_a_walk(scene):
    script = scene.write("deep.py", PRELUDE + textwrap.dedent(r'''
        sys.setrecursionlimit(3000)
        def deed(): os.mkdir("markers/deep")
        def down(n, *what): return what[0](what[1]) if n == 0 else list(map(lambda _: down(n - 1, *what), [0]))
        for name, loader in LOADERS.items():
            try: down(150, loader, pickle.dumps(Call(deed), 2)); print(name, "done")
            except PermissionError as error: print(name, str(error)[:14])
    '''))
    run = scene.run_python(script, mode="enforce")
    assert os.listdir(scene.path("markers")) == [], str(run)
    assert [line.split(None, 1)[1] for line in run.stdout.splitlines()] == ["guard: denied "] * 7, str(run)


def test_an_interpreter_that_comes_late_and_twice(scene):
    """A program that embeds Python: the constructor finds none."""
    libraries = sorted(Path(scene.python).resolve().parents[1].glob("lib/libpython3.*.so.1.0"))
    if not libraries:
        pytest.skip("this interpreter is no shared library")
    host = scene.path("embed")
    subprocess.run(["gcc", "-o", host, Path(__file__).parent / "native" / "embed.c", "-ldl"], check=True)
    program = textwrap.dedent('''
        import pickle
        try: pickle.loads(b"cposix\\nsystem\\n(S'touch markers/late'\\ntR.")
        except PermissionError as error: print(str(error)[:14])
        print(pickle.loads(pickle.dumps(ValueError(1))))
    ''')
    home = {"PYTHONHOME": str(libraries[0].parents[1])}
    without = scene.run([host, libraries[0], program], env=home)
    assert without.returncode == 0 and os.listdir(scene.path("markers")) == ["late"], str(without)
    scene.clear_markers()
    enforce = scene.run([host, libraries[0], program], env=home, mode="enforce")
    assert os.listdir(scene.path("markers")) == [], str(enforce)
    assert enforce.returncode == 0 and enforce.stdout.count("guard: denied ") == 2, str(enforce)
    scene.path("poison.pkl").write_bytes(b"cposix\nsystem\n(S'true'\ntR.")
    told = scene.run([host, libraries[0], "pass", scene.path("poison.pkl")], env=home, mode="enforce")
    asked = [record["by"] for record in told.denials if record["event"] == "load"]
    assert [by["no_python"] for by in asked] == ["the thread runs no Python"] + 2 * [
        "no Python code runs", "no Python code runs", "the interpreter ends"], asked
    assert all(by["python"] == [] and by["native"][0]["object"] == str(host) for by in asked), asked


def test_a_listed_name_in_a_file_beside_the_model(scene):
    """What would be imported is not the standard library's module but a file that came with the model."""
    scene.path("model").mkdir()
    scene.write("model/pytorch_model.bin", "")
    scene.write("model/fractions.py", "import os; open('markers/shadow', 'w').close()\nclass Fraction: pass\n")
    script = scene.write("shadow.py", '''
        import sys, pickle
        sys.path.insert(0, "model")
        try: print(pickle.loads(b"cfractions\\nFraction\\n."))
        except PermissionError as error: print(str(error)[:14])
    ''')
    without = scene.run_python(script)
    assert os.listdir(scene.path("markers")) == ["shadow"], str(without)
    scene.clear_markers()
    enforce = scene.run_python(script, mode="enforce")
    assert os.listdir(scene.path("markers")) == [] and enforce.stdout == "guard: denied \n", str(enforce)


def test_threads_with_small_stacks(scene):
    script = scene.write("small.py", PRELUDE + r'''
import threading
class Own: pass
def load():
    for loader in LOADERS.values():
        loader(pickle.dumps(Own(), 2))
        try: loader(b"cposix\nsystem\n(S'touch markers/small'\ntR.")
        except PermissionError as error: print(str(error)[:14])
for size in 256, 128, 64:
    threading.stack_size(size * 1024)
    thread = threading.Thread(target=load); thread.start(); thread.join()
''')
    enforce = scene.run_python(script, mode="enforce")
    assert enforce.returncode == 0 and enforce.stdout.count("guard: denied ") == 21, str(enforce)
    assert os.listdir(scene.path("markers")) == [], str(enforce)

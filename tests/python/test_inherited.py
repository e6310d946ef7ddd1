"""What an unpickler sets up goes on asking in its name: threads and what they start, executors, code that it was
allowed to make, objects that act when they are dropped. The pickles are bytes that never were a file, so that only the
live ring acts."""
import json
import os

from test_live_unpickler import PRELUDE, python, scene  # noqa: F401 (fixtures)

# The functions are the application's own: they may be named and called, and what they start may not act.
STARTERS = PRELUDE + r'''
import _thread, asyncio, concurrent.futures, threading, time
try: import ctypes
except ImportError: ctypes = None

def deed():
    try: os.mkdir("markers/" + NAME)
    except PermissionError as error: said.append(str(error)[:14])
    else: said.append("done")
    finally: over.set()

def thread(): threading.Thread(target=deed).start()
def low(): _thread.start_new_thread(deed, ())
def timer(): threading.Timer(.05, deed).start()
def nested(): threading.Thread(target=lambda: threading.Thread(target=deed).start()).start()
def executor(): concurrent.futures.ThreadPoolExecutor(1).submit(deed)
def loop():
    def run(): asyncio.new_event_loop().run_until_complete(late())
    async def late():
        await asyncio.sleep(.05)
        deed()
    threading.Thread(target=run).start()
if ctypes:
    CALLBACK = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
    native_deed, pthread_create = CALLBACK(lambda _: deed()), ctypes.CDLL(None).pthread_create
def native():
    """A thread of C's own, that calls Python."""
    pthread_create(ctypes.byref(ctypes.c_ulong()), None, native_deed, None)

ALL = [thread, low, timer, nested, executor, loop] + [native] * bool(ctypes)
for starter in ALL:
    for kind in ("loads", "pure") if "unpickler" in sys.argv else ("",):
        NAME, said, over = starter.__name__ + kind, [], threading.Event()
        if kind: LOADERS[kind](pickle.dumps(Call(starter), 2))
        else: starter()
        over.wait(10)
        print(NAME, *said)
        # Another's thread, afterwards, is nobody's but the program's.
        NAME, said, over = NAME + "-after", [], threading.Event()
        other = threading.Thread(target=deed); other.start(); other.join()
        print(NAME, *said)
'''


def test_threads_ask_for_whoever_started_them(scene):  # noqa: F811
    script = scene.write("starters.py", STARTERS)
    outside = scene.run_python(script, mode="enforce")
    assert outside.returncode == 0 and not outside.denials, str(outside)
    assert all(line.endswith(" done") for line in outside.stdout.splitlines()), str(outside)
    scene.clear_markers()
    without = scene.run_python(script, "unpickler")
    assert without.stdout.count(" done") == len(without.stdout.splitlines()) >= 24, str(without)
    scene.clear_markers()
    inside = scene.run_python(script, "unpickler", mode="enforce")
    lines = dict(line.split(" ", 1) for line in inside.stdout.splitlines())
    wrong = {name: what for name,
             what in lines.items() if what != ("done" if name.endswith("-after") else "guard: denied ")}
    assert inside.returncode == 0 and not wrong and len(lines) >= 24, f"{wrong}\n{inside}"
    assert all(name.endswith("-after") for name in os.listdir(scene.path("markers"))), str(inside)
    assert all(record["origin"] == "unpickler" and record["effect"] == "write"
               for record in inside.denials), str(inside)


def test_threads_for_everybody(scene):  # noqa: F811
    """A library's thread that an unpickler happens to start first serves the whole program (fsspec's loop); so does a
    pool of native threads."""
    package = scene.path("lib/site-packages/fsspec")
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    scene.write("lib/site-packages/fsspec/asyn.py", """
        import asyncio, threading
        loop = [None]
        def get_loop():
            if loop[0] is None:
                loop[0] = asyncio.new_event_loop()
                threading.Thread(target=loop[0].run_forever, daemon=True).start()
            return loop[0]
    """)
    script = scene.write("service.py", PRELUDE + r"""
import asyncio
sys.path.insert(1, os.path.abspath("lib/site-packages"))
import fsspec.asyn
def load(): fsspec.asyn.get_loop()
pickle.loads(pickle.dumps(Call(load), 2))
async def work(): os.mkdir("made"); os.rmdir("made"); return "worked"
print(asyncio.run_coroutine_threadsafe(work(), fsspec.asyn.get_loop()).result(10))
""")
    scene.benign(script)


ALLOWED_CODE = {"version": 1, "rules": [
    {"effect": ["import", "create", "call"], "match": ["types.FunctionType", "marshal.loads"],
     "then": "allow", "why": "a test: this model may bring functions"},
    {"effect": "code", "when": "live", "origin": "unpickler", "then": "allow", "why": "a test"}]}

MADE = PRELUDE + r'''
import atexit, marshal, threading, types, weakref
SOURCE = """
def made(name):
    def inner(): open("markers/" + name, "w").close()
    inner()
"""
namespace = {}
exec(compile(SOURCE, os.__file__, "exec"), namespace)  # claims to be the standard library
code = marshal.dumps(namespace["made"].__code__)
DATA = (b"\x80\x02ctypes\nFunctionType\n(cmarshal\nloads\n(T" + len(code).to_bytes(4, "little") + code + b"tR}tR.")
class Own: pass

def attempt(name, run, *arguments):
    try: run(*arguments); print(name, "done", flush=True)
    except PermissionError as error: print(name, str(error)[:14], flush=True)

function = pickle.loads(DATA, encoding="bytes")
function.__globals__["open"] = open
attempt("call", function, "call")
thread = threading.Thread(target=attempt, args=("thread", function, "thread")); thread.start(); thread.join()
class Deleted:
    def __del__(self): attempt("del", function, "del")
Deleted()
own = Own(); weakref.finalize(own, attempt, "finalize", function, "finalize"); del own
atexit.register(attempt, "atexit", function, "atexit")
sys.setprofile(lambda *_: None); sys.setprofile(None)
open("made", "w").close(); os.remove("made")  # the program's own
'''


def test_code_that_an_unpickler_was_allowed_to_make(scene):  # noqa: F811
    script = scene.write("made.py", MADE)
    policy = scene.path("policy.json")
    policy.write_text(json.dumps(ALLOWED_CODE))
    without = scene.run_python(script)
    assert without.returncode == 0 and without.stdout.count("done") == 5, str(without)
    scene.clear_markers()
    enforce = scene.run_python(script, mode="enforce", policy=policy)
    said = dict(line.split(" ", 1) for line in enforce.stdout.splitlines())
    assert said == dict.fromkeys(("call", "thread", "del", "finalize", "atexit"), "guard: denied "), str(enforce)
    assert os.listdir(scene.path("markers")) == [], str(enforce)
    assert {record["rule"] for record in enforce.denials} == {"write-in-load"}, str(enforce)


WIPER = PRELUDE + r'''
sys.path.insert(1, os.path.abspath("lib/site-packages"))
os.makedirs("victim/inner", exist_ok=True)
import spool
def loads(data):
    try: return pickle.loads(data)
    except PermissionError as error: print(str(error)[:14])
loads(b"\x80\x02cspool\nSpool\n)\x81}X\x04\x00\x00\x00pathX\x06\x00\x00\x00victimsb.")
import gc; gc.collect()
print(os.path.exists("victim"), loads(pickle.dumps(spool.Plain(), 2)) is not None)
'''


def test_objects_that_act_when_they_are_dropped(scene):  # noqa: F811
    """The class of an installed package that removes its folder in __del__, with a folder of the pickle's choice."""
    scene.path("lib/site-packages").mkdir(parents=True)
    scene.write("lib/site-packages/spool.py", """
        import shutil
        class Plain: pass
        class Spool:
            path = None
            def __del__(self):
                if self.path: shutil.rmtree(self.path)
    """)
    script = scene.write("wiper.py", WIPER)
    assert scene.run_python(script).stdout == "False True\n"
    enforce = scene.run_python(script, mode="enforce")
    assert enforce.stdout == "guard: denied \nTrue True\n", str(enforce)
    assert [record["rule"] for record in enforce.denials] == ["unlisted-finalizer"], str(enforce)

"""What is kept for later and called by somebody else: event loops, tracing, hooks of the interpreter and of libraries,
finalizers, generators. Whoever calls it then, code that an unpickler made asks in the pickle's name; and a pickle
cannot keep anything itself. The pickles are bytes that never were a file, so that only the live ring acts."""
import json
import os
import sys

import pytest

from test_inherited import ALLOWED_CODE
from test_live_alone import AT_LOAD
from test_live_unpickler import PRELUDE, python, scene  # noqa: F401 (fixtures)

# The code comes out of a pickle. Each way hands made(name) to somebody who calls it later.
WAYS = PRELUDE + r'''
import asyncio, atexit, builtins, codecs, concurrent.futures, contextvars, copy, copyreg, gc, logging, marshal, signal
import threading, time, types, warnings, weakref
SOURCE = """
def made(name):
    def inner(*arguments, **more):
        os.mkdir("markers/" + name)
    return inner
def lasting(name):
    yield
    os.mkdir("markers/" + name)
async def awaited(name):
    os.mkdir("markers/" + name)
async def asked(name):
    yield 1
    os.mkdir("markers/" + name)
"""
namespace = {}
exec(compile(SOURCE, os.__file__, "exec"), namespace)  # claims to be the standard library

CODE = {name: marshal.dumps(function.__code__) for name, function in namespace.items() if hasattr(function, "__code__")}

def pickled(name):
    code = CODE[name]
    data = b"\x80\x02ctypes\nFunctionType\n(cmarshal\nloads\n(T" + len(code).to_bytes(4, "little") + code + b"tR}tR."
    function = pickle.loads(data, encoding="bytes")
    function.__globals__["os"] = os
    return function
def unmarshalled(name):
    """As Keras brings a lambda back."""
    return types.FunctionType(marshal.loads(CODE[name]), {"os": os})
class Own: pass
def work(): return sum(range(3))

WAYS = {}
def way(function):
    WAYS[function.__name__] = function
    return function
def in_loop(coroutine):
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: told(context["exception"]))
    try: return loop.run_until_complete(coroutine)
    finally: loop.close()

@way
def call_soon(f):
    async def main(): asyncio.get_running_loop().call_soon(f); await asyncio.sleep(.01)
    in_loop(main())
@way
def call_later(f):
    async def main(): asyncio.get_running_loop().call_later(.001, f); await asyncio.sleep(.02)
    in_loop(main())
@way
def call_soon_threadsafe(f):
    async def main(): asyncio.get_running_loop().call_soon_threadsafe(f); await asyncio.sleep(.01)
    in_loop(main())
@way
def add_reader(f):
    async def main():
        read, write = os.pipe(); loop = asyncio.get_running_loop()
        loop.add_reader(read, lambda: (loop.remove_reader(read), f())); os.write(write, b"x")
        await asyncio.sleep(.02); os.close(read); os.close(write)
    in_loop(main())
@way
def done_callback(f):
    async def main():
        task = asyncio.ensure_future(asyncio.sleep(0)); task.add_done_callback(f)
        await asyncio.sleep(.01)
    in_loop(main())
@way
def run_in_executor(f):
    async def main(): await asyncio.get_running_loop().run_in_executor(None, f)
    in_loop(main())
@way
def future_callback(f):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(work); future.result()
    try: future.add_done_callback(f)
    finally: pass
@way
def standing_pool(f):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(work).result(); pool.submit(f).result()
@way
def settrace(f):
    sys.settrace(f)
    try: work()
    finally: sys.settrace(None)
@way
def setprofile(f):
    sys.setprofile(f)
    try: work()
    finally: sys.setprofile(None)
def run_thread():
    thread = threading.Thread(target=work); thread.start(); thread.join()
@way
def thread_settrace(f):
    threading.settrace(f); run_thread(); threading.settrace(None)
@way
def thread_setprofile(f):
    threading.setprofile(f); run_thread(); threading.setprofile(None)
@way
def thread_excepthook(f):
    threading.excepthook, before = f, threading.excepthook
    def fail(): raise ValueError
    thread = threading.Thread(target=fail); thread.start(); thread.join(); threading.excepthook = before
@way
def displayhook(f):
    sys.displayhook, before = f, sys.displayhook
    try: exec(compile("1", "x", "single"))
    finally: sys.displayhook = before
@way
def breakpointhook(f):
    sys.breakpointhook, before = f, sys.breakpointhook
    try: breakpoint()
    finally: sys.breakpointhook = before
@way
def unraisablehook(f):
    class Fails:
        def __del__(self): raise ValueError
    sys.unraisablehook, before = f, sys.unraisablehook
    Fails(); sys.unraisablehook = before
@way
def meta_path(f):
    class Finder:
        find_spec = staticmethod(f)
    sys.meta_path.insert(0, Finder)
    try: import nothing_of_that_name
    except ImportError: pass
    finally: sys.meta_path.remove(Finder)
@way
def path_hooks(f):
    sys.path_hooks.insert(0, f); sys.path.insert(0, "nowhere"); sys.path_importer_cache.clear()
    try: import nothing_of_that_name
    except ImportError: pass
    finally: sys.path_hooks.remove(f); sys.path.remove("nowhere"); sys.path_importer_cache.clear()
@way
def builtins_import(f):
    builtins.__import__, before = f, builtins.__import__
    try: import json
    finally: builtins.__import__ = before
@way
def builtins_open(f):
    builtins.open, before = f, builtins.open
    try: open("anything")
    finally: builtins.open = before
@way
def finalize(f):
    own = Own(); weakref.finalize(own, f); del own
@way
def weak_callback(f):
    own = Own(); kept = weakref.ref(own, f); del own
@way
def deleted(f):
    class Deleted: __del__ = f
    Deleted()
@way
def collected(f):
    class Deleted: __del__ = f
    one = Deleted(); one.itself = one; del one; gc.collect()
@way
def collected_weakly(f):
    own = Own(); own.itself = own; kept = weakref.ref(own, f); del own; gc.collect()
@way
def gc_callbacks(f):
    gc.callbacks.append(f); gc.collect(); gc.callbacks.remove(f)
@way
def signal_handler(f):
    before = signal.signal(signal.SIGUSR1, f)
    try: os.kill(os.getpid(), signal.SIGUSR1); time.sleep(.01)
    finally: signal.signal(signal.SIGUSR1, before)
@way
def at_fork(f):
    done = []
    os.register_at_fork(before=lambda: done or (done.append(1), f()))
    child = os.fork()
    if child == 0: os._exit(0)
    os.waitpid(child, 0)
@way
def context_run(f): contextvars.copy_context().run(f)
@way
def codec_search(f):
    once = [f]
    codecs.register(lambda name: once.pop()() if once else None)
    try: "".encode("no_such_codec" + bring.__name__)
    except LookupError: pass
@way
def codec_errors(f):
    codecs.register_error("of_the_model", f)
    b"\xff".decode("ascii", "of_the_model")
@way
def copyreg_table(f):
    copyreg.pickle(Own, f)
    try: copy.copy(Own())
    finally: del copyreg.dispatch_table[Own]
@way
def reducing(f):
    class Reduced: __reduce_ex__ = f
    pickle.dumps(Reduced())
@way
def descriptor(f):
    class With: value = property(f)
    With().value
@way
def logging_handler(f):
    handler = logging.Handler(); handler.emit = f
    log = logging.getLogger("own"); log.addHandler(handler)
    try: log.warning("text")
    finally: log.removeHandler(handler)
@way
def warned(f):
    warnings.showwarning, before = f, warnings.showwarning
    try:
        with warnings.catch_warnings(): warnings.simplefilter("always"); warnings.showwarning = f; warnings.warn("text")
    finally: warnings.showwarning = before
@way
def sort_key(f): sorted([1, 2], key=f)
@way
def timer(f):
    thread = threading.Timer(.001, f); thread.start(); thread.join()
@way
def audit_hook(f):
    armed = [1]
    sys.addaudithook(lambda event, arguments: event == "kept.test" and armed and (armed.clear(), f()))
    sys.audit("kept.test")
@way
def atexit_call(f): atexit.register(f)

OTHERS = {
    "generator": lambda name: list(lasting(name)),
    "closed generator": lambda name: [next(g) for g in [lasting(name)] for _ in "12"],
    "coroutine": lambda name: in_loop(awaited(name)),
    "task": lambda name: in_loop(later(awaited(name))),
    "asynchronous generator": lambda name: in_loop(drained(asked(name))),
}
async def later(coroutine): await asyncio.ensure_future(coroutine)
async def drained(generator):
    async for _ in generator: pass

def told(error):
    if isinstance(error, PermissionError): print(str(error)[:14], flush=True)
def attempt(run, *arguments):
    try: run(*arguments)
    except BaseException as error: told(error)
threading.excepthook = lambda arguments: told(arguments.exc_value)
for bring in pickled, unmarshalled:
    made, lasting, awaited, asked = map(bring, ("made", "lasting", "awaited", "asked"))
    for name, way in WAYS.items(): attempt(way, made(f"{name} {bring.__name__}"))
    for name, way in OTHERS.items(): attempt(way, f"{name} {bring.__name__}")
print(*(f"{name} {kind}" for name in (*WAYS, *OTHERS) for kind in ("pickled", "unmarshalled")), "excepthook", sep=", ")
os.mkdir("own"); os.rmdir("own")  # the program's own
made = pickled("made")
sys.excepthook = made("excepthook")
raise ValueError("at the end")
'''


def markers(scene):  # noqa: F811
    return sorted(os.listdir(scene.path("markers")))


def test_made_code_that_is_called_later(scene):  # noqa: F811
    script = scene.write("ways.py", WAYS)
    policy = scene.path("policy.json")
    policy.write_text(json.dumps(ALLOWED_CODE))
    without = scene.run_python(script)
    fired = markers(scene)
    assert fired == sorted(without.stdout.strip().split(", ")) and len(fired) > 80, str(without)
    scene.clear_markers()
    enforce = scene.run_python(script, mode="enforce", policy=policy)
    assert markers(scene) == [] and not os.path.exists(scene.path("own")), str(enforce)
    assert {record["rule"] for record in enforce.denials} == {"write-in-load"}, str(enforce)
    assert {record["name"].split("/")[-1] for record in enforce.denials} == set(fired), str(enforce)


# Here the pickle itself keeps a function, which is the application's own and may be named.
KEEPS = PRELUDE + r"""
import asyncio, atexit, builtins, codecs, concurrent.futures, copy, copyreg, gc, signal, threading, weakref
class Own: pass
own, loop, pool = Own(), asyncio.new_event_loop(), concurrent.futures.ThreadPoolExecutor(1)
asyncio.set_event_loop(loop)
title, busy = "", []
def deed(*arguments, **more):
    if title and not busy:
        busy.append(1); os.makedirs("markers/" + title, exist_ok=True); busy.clear()

def quiet(run, *arguments):
    try: return run(*arguments)
    except (ImportError, LookupError, OSError, TypeError, ValueError): pass
def run_thread():
    thread = threading.Thread(target=len, args=("",)); thread.start(); thread.join()
def import_nothing():
    sys.path.insert(0, "nowhere"); sys.path_importer_cache.clear()
    quiet(__import__, "nothing_of_that_name")
def hook():
    try: raise ValueError
    except ValueError: sys.excepthook(*sys.exc_info())
def drop():
    global own
    own = Own()
def wait(): pool.submit(len, "").result()
def turn(): loop.call_later(.01, loop.stop); loop.run_forever()

# title: (module, name, arguments, what makes it happen); a tuple among the arguments is a name
DEED, OWN = ("__main__", "deed"), ("__main__", "own")
CALLS = {
    "settrace": ("sys", "settrace", [DEED], run_thread), "setprofile": ("sys", "setprofile", [DEED], run_thread),
    "threads traced": ("threading", "settrace", [DEED], run_thread),
    "threads profiled": ("threading", "setprofile", [DEED], run_thread),
    "timer": ("threading", "Timer.run", [("__main__", "timer")], None),
    "signal": ("_signal", "signal", [int(signal.SIGUSR1), DEED], lambda: signal.raise_signal(signal.SIGUSR1)),
    "finalizer": ("weakref", "finalize", [OWN, DEED], drop),
    "codec": ("_codecs", "register", [DEED], lambda: quiet("".encode, "no_such_codec")),
    "codec's errors": ("codecs", "register_error", ["the_model's", DEED],
                       lambda: quiet(b"\xff".decode, "ascii", "the_model's")),
    "copyreg": ("copyreg", "pickle", [("__main__", "Own"), DEED], lambda: quiet(copy.copy, Own())),
    "audit hook": ("sys", "addaudithook", [DEED], lambda: sys.audit("own")),
    "path hook": ("sys", "path_hooks.append", [DEED], import_nothing),
    "collector": ("gc", "callbacks.append", [DEED], gc.collect),
    "soon": ("__main__", "loop.call_soon", [DEED], turn), "later": ("__main__", "loop.call_later", [0, DEED], turn),
    "executor": ("__main__", "loop.run_in_executor", [("__main__", "pool"), DEED], wait),
    "pool": ("__main__", "pool.submit", [DEED], wait),
    "loop by its module": ("asyncio.base_events", "BaseEventLoop.call_soon", [("__main__", "loop"), DEED], turn),
    "atexit": ("atexit", "register", [DEED], atexit._run_exitfuncs),
}
SETS = {
    "excepthook": ("sys", "excepthook", hook), "breakpointhook": ("sys", "breakpointhook", breakpoint),
    "displayhook": ("sys", "displayhook", lambda: exec(compile("1", "x", "single"))),
    "import": ("builtins", "__import__", lambda: exec("import json")),
    "open": ("builtins", "open", lambda: open("anything")),
}
def text(value): return b"\x8c" + bytes([len(value)]) + value.encode()
def name(module, name): return text(module) + text(name) + b"\x93"
def push(value):
    if isinstance(value, int): return b"J" + value.to_bytes(4, "little")
    return name(*value) if isinstance(value, tuple) else text(value)
def call(module, function, arguments):
    return b"\x80\x04" + name(module, function) + b"(" + b"".join(map(push, arguments)) + b"tR."
def build(module, attribute):  # the application imported it: its __main__ holds the module itself
    return b"\x80\x04" + name("__main__", module) + b"}" + text(attribute) + name(*DEED) + b"sb."

signal.signal(signal.SIGUSR1, lambda *_: None)
sys.excepthook = sys.displayhook = sys.breakpointhook = lambda *_: None
timer = threading.Timer(0, deed)
hooks = [(module, key, getattr(sys.modules[module], key)) for module, key, _ in SETS.values()]
MANY = [(title, build(*made[:2]), made[2]) for title, made in SETS.items()]
MANY += [(title, call(*made[:3]), made[3]) for title, made in CALLS.items()]
for title, data, happens in MANY:
    try: pickle.loads(data)
    except PermissionError as error: print(str(error)[:14])
    if happens: quiet(happens)
    title = ""
    for tool in sys.settrace, sys.setprofile, threading.settrace, threading.setprofile: tool(None)
    for module, key, value in hooks: setattr(sys.modules[module], key, value)
    gc.callbacks.clear()
    sys.path_hooks[:] = [hook for hook in sys.path_hooks if hook is not deed]
print(", ".join(made[0] for made in MANY))
"""


def test_pickles_that_keep_a_function(scene):  # noqa: F811
    script = scene.write("keeps.py", KEEPS)
    policy = scene.path("policy.json")
    policy.write_text(json.dumps({"version": 1, "rules": [AT_LOAD]}))
    without = scene.run_python(script)
    titles = sorted(without.stdout.strip().split(", "))
    assert markers(scene) == titles and len(titles) > 20, str(without)
    scene.clear_markers()
    enforce = scene.run_python(script, mode="enforce", policy=policy)
    assert enforce.returncode == 0 and markers(scene) == [], str(enforce)
    assert enforce.stdout.splitlines()[:-1] == ["guard: denied "] * len(titles), str(enforce)
    assert {record["origin"] for record in enforce.denials} == {"unpickler"}, str(enforce)


# The same with real hooks of a library, each of which calls what it was given in the middle of ordinary work.
TORCH = WAYS[:WAYS.index("WAYS = {}")] + r"""
import torch
from torch.utils.data import DataLoader
from torch.nn.modules import module as everywhere
def layer(): return torch.nn.Linear(2, 2)
data = torch.ones(1, 2)
def forward(model): model(data).sum().backward()
def prepared(register, f):
    model = layer()
    getattr(model, register)(f)
    forward(model)
def global_hook(register, f):
    handle = register(f)
    try: forward(layer())
    finally: handle.remove()
def state_hook(f):
    model = layer(); model._register_state_dict_hook(f); model.state_dict()
def load_hook(f):
    model = layer(); model.register_load_state_dict_post_hook(f); model.load_state_dict(layer().state_dict())
def gradient(f):
    model = layer(); model.weight.register_hook(f); forward(model)
def saved(f):
    with torch.autograd.graph.saved_tensors_hooks(f, f): forward(layer())
def stepped(f):
    model = layer(); optimizer = torch.optim.SGD(model.parameters()); optimizer.register_step_post_hook(f)
    forward(model); optimizer.step()
def scheduled(f):
    torch.optim.lr_scheduler.LambdaLR(torch.optim.SGD(layer().parameters()), f)
def collated(f): list(DataLoader([1, 2], collate_fn=f))
def mapped(f): torch.load("storage.pt", map_location=f)
def replaced(f):
    model = layer(); model.forward = f; model(data)
def function(f):
    class Own(torch.Tensor): __torch_function__ = classmethod(f)
    torch.ones(1).as_subclass(Own) + 1
def applied(f): layer().apply(f)
torch.save(torch.ones(2), "storage.pt")
WAYS = {name: (prepared, name) for name in (
    "register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook")}
WAYS.update({name: (global_hook, getattr(everywhere, name)) for name in (
    "register_module_forward_hook", "register_module_forward_pre_hook", "register_module_full_backward_hook")})
WAYS.update({way.__name__: (way,) for way in (
    state_hook, load_hook, gradient, saved, stepped, scheduled, collated, mapped, replaced, function, applied)})
made = pickled("made")
for name, (way, *arguments) in WAYS.items():
    try: way(*arguments, made(name))
    except BaseException as error: print(name, repr(error)[:200], file=sys.stderr)
print(", ".join(WAYS))
forward(layer())
open("own", "w").close()  # the program's own
"""


@pytest.mark.parametrize("python", [sys.executable])
def test_hooks_of_a_library(scene):  # noqa: F811
    policy = scene.path("policy.json")
    policy.write_text(json.dumps(ALLOWED_CODE))
    script = scene.write("hooks.py", TORCH)
    without = scene.run_python(script)
    titles = sorted(without.stdout.strip().split(", "))
    assert markers(scene) == titles, str(without)
    scene.clear_markers()
    enforce = scene.run_python(script, mode="enforce", policy=policy)
    assert enforce.returncode == 0 and markers(scene) == [] and scene.path("own").exists(), str(enforce)
    assert {record["name"].split("/")[-1] for record in enforce.denials} == set(titles), str(enforce)

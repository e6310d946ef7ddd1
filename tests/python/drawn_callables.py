"""Functions of the standard library and of installed packages, drawn at random and called by pickles in every way that
might have an effect outside the interpreter.

    drawn_callables.py draw COUNT SEED WHERE    a JSON list of [module, name, [arguments, ...]]; WHERE: all, or quick
                                                (the standard library, the C modules and the packages of QUICK)
    drawn_callables.py try LIST WAY[,WAY]...    calls each with each of its arguments, through a pickle; for each word a
                                                process of its own; prints [module, name, ways, said, effects] lines

Ways: plain (no pickle, and what it is about to do is refused and told), bytes, file, thread, executor, atexit,
finalizer, del. Effects are looked for in the current folder: markers/, victim, folder/, and connections to a listener
of this program's."""
import atexit
import concurrent.futures
import json
import os
import pickle
import random
import re
import select
import shutil
import signal
import site
import socket
import struct
import sys
import sysconfig
import threading
import time
import weakref
from pathlib import Path

QUICK = ("pip", "fsspec", "joblib", "dask", "yaml", "partd", "click", "jinja2", "requests", "networkx")
FUNCTION = re.compile(r"^def ([A-Za-z]\w*)\(([^()]*(?:\([^()]*\)[^()]*)*)\)[^\n:]*:", re.M)
LEFT_OUT = re.compile(r"/(tests?|testing|idlelib|turtledemo|lib2to3|site-packages|_vendor|distutils|ensurepip)/"
                      r"|/(antigravity|this)\.py$")
SECONDS = 10  # for one callable

# Parameters by what they seem to want.
KINDS = {
    "path": ("markers/new", "victim", "folder", "evil.so"), "command": ("touch markers/command",),
    "address": (("127.0.0.1", "PORT"),), "host": ("127.0.0.1",), "port": ("PORT",), "url": ("http://127.0.0.1:PORT/",),
    "code": ("open('markers/code', 'w')", "__import__('os').system('touch markers/code')"), "mode": ("w",),
    "text": ("text",),
}
WORDS = {
    "path": "path file filename fname name dst dest dir folder directory src source target location out output root "
            "where lib dll "
            "library p f", "command": "cmd command args argv program executable line",
    "address": "address addr endpoint",
    "host": "host hostname server ip", "port": "port", "url": "url uri link",
    "code": "code expr expression string statement stmt s",
    "mode": "mode flags",
}
KIND_OF = {word: kind for kind, words in WORDS.items() for word in words.split()}
GENERAL = [["markers/new"], ["markers/new", "text"], ["markers/new", "w"], ["victim"], ["folder"],
           ["victim", "markers/moved"],
           ["touch markers/command"], [["touch", "markers/command"]], ["touch", ["touch", "markers/command"]],
           [("127.0.0.1", "PORT")], ["127.0.0.1", "PORT"], ["http://127.0.0.1:PORT/"],
           ["open('markers/code', 'w')"], ["__import__('os').system('touch markers/code')", {}], ["evil.so"], []]


def wanted(parameters):
    """Arguments that fit a function's parameters by their names, as far as they have no default."""
    columns = []
    for parameter in re.sub(r"\([^)]*\)", "", parameters).split(","):
        word = parameter.split(":")[0].split("=")[0].strip().lower()
        if "=" in parameter or not word or word[0] in "*/":
            break
        parts = [word, *reversed(word.split("_"))]
        columns.append(KINDS[next((KIND_OF[part] for part in parts if part in KIND_OF), "text")])
    if not columns:
        return []
    return [[column[at % len(column)] for column in columns] for at in range(max(map(len, columns)))]


def functions_of(folder, packages):
    """(module, name, arguments) of every public function at the top of a source file."""
    for path in sorted(Path(folder).rglob("*.py")):
        inside = path.relative_to(folder)
        if LEFT_OUT.search("/" + str(inside)) or (packages and inside.parts[0].removesuffix(".py") not in packages):
            continue
        module = ".".join(inside.with_suffix("").parts).removesuffix(".__init__")
        for name, parameters in FUNCTION.findall(path.read_text(errors="replace")):
            yield [module, name, wanted(parameters) + GENERAL]


def native_functions():
    """The functions of C modules, which have no source."""
    for module in sorted(sys.stdlib_module_names):
        if module in sys.builtin_module_names or module in ("_socket", "_ctypes", "_posixshmem", "_sqlite3", "_dbm",
                                                            "fcntl"):
            try:
                names = vars(__import__(module))
            except ImportError:
                continue
            yield from ([module, name, GENERAL] for name, value in sorted(names.items())
                        if type(value).__name__ == "builtin_function_or_method")


def draw(count, seed, where):
    """Half of them the interpreter's own."""
    own = [*native_functions(), *functions_of(sysconfig.get_path("stdlib"), None)]
    others = [found for folder in site.getsitepackages()
              for found in functions_of(folder, QUICK if where == "quick" else None)]
    drawn = random.Random(seed)
    return drawn.sample(own, count // 2) + drawn.sample(others, count - count // 2)


# --- Pickles ---------------------------------------------------------------------------------------------------------

def opcodes(value):
    if isinstance(value, str):
        raw = value.encode()
        return b"X" + struct.pack("<I", len(raw)) + raw
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, dict):
        return b"}"
    return b"(" + b"".join(map(opcodes, value)) + (b"l" if isinstance(value, list) else b"t")


def stream(module, name, arguments, helper):
    """helper(callable, *arguments), or the callable itself."""
    callee = f"c{module}\n{name}\n".encode()
    begin = f"c__main__\n{helper}\n(".encode() + callee if helper else callee + b"("
    return b"\x80\x02" + begin + b"".join(map(opcodes, arguments)) + b"tR."


# The application's own, which a pickle may call. What is put off is done before the process ends.
LATER = []


class Deleted:
    def __init__(self, function, arguments):
        self.what = function, arguments

    def __del__(self):
        self.what[0](*self.what[1])


class Plain:
    pass


def in_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    LATER.append(thread)


def in_executor(function, *arguments):
    LATER.append(concurrent.futures.ThreadPoolExecutor(1).submit(function, *arguments))


def at_exit(function, *arguments):
    atexit.register(function, *arguments)


def finalizer(function, *arguments):
    LATER.append(Plain())
    weakref.finalize(LATER[-1], function, *arguments)


def in_del(function, *arguments):
    LATER.append(Deleted(function, arguments))


HELPERS = {"bytes": "", "file": "", "thread": "in_thread", "executor": "in_executor", "atexit": "at_exit",
           "finalizer": "finalizer", "del": "in_del"}


def finish():
    for later in LATER:
        if isinstance(later, threading.Thread):
            later.join(SECONDS)
        elif isinstance(later, concurrent.futures.Future):
            later.exception(SECONDS)
    LATER.clear()
    atexit._run_exitfuncs()


# --- Trying ----------------------------------------------------------------------------------------------------------

TOLD = re.compile(r"os\.(exec|fork|kill|link|mkdir|posix_spawn|putenv|remove|rename|rmdir|spawn|symlink|system|truncate"
                  r"|utime|chmod|chown)|subprocess|pty\.spawn"
                  r"|socket\.(bind|connect|sethostname|getaddrinfo|gethostby|sendto)|shutil\.|ctypes\."
                  r"|webbrowser|sqlite3\.connect|tempfile\.|signal\.pthread_kill|urllib\.Request|resource\.|syslog\.")


def tell_and_refuse():
    """For a run without the guard: nothing is done, and what was about to be is told."""
    told = []

    def hook(event, arguments):
        writes = event == "open" and isinstance(arguments[2],
                                                int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes or TOLD.match(event):
            told.append(event)
            raise PermissionError("told")
    sys.addaudithook(hook)
    return told


def fresh():
    shutil.rmtree("markers", ignore_errors=True)
    os.mkdir("markers")
    Path("victim").write_text("there")
    Path("folder").mkdir(exist_ok=True)
    Path("folder/inner").write_text("there")


def effects(listener):
    found = [f"markers/{path.name}" for path in Path("markers").iterdir()]
    if not Path("victim").exists() or Path("victim").read_text() != "there":
        found.append("victim")
    if not Path("folder/inner").exists():
        found.append("folder")
    try:
        while True:
            listener.accept()[0].close()
            found.append("connection")
    except BlockingIOError:
        return found


def with_port(value, port):
    if isinstance(value, str):
        return port if value == "PORT" else value.replace("PORT", str(port))
    return type(value)(with_port(item, port) for item in value) if isinstance(value, (list, tuple)) else value


def call(module, name, arguments, way):
    if way == "plain":
        getattr(sys.modules[module], name)(*arguments)
    elif way == "file":
        with open("drawn.pkl", "rb") as file:
            pickle.load(file)
    else:
        pickle.loads(stream(module, name, arguments, HELPERS[way]))
    finish()


def attempt(module, name, many, ways, write):
    """Says what became of the calls, or what the callable was about to do."""
    signal.alarm(SECONDS)
    said = set()
    told = None
    if ways == ["plain"]:
        __import__(module)
        told = tell_and_refuse()
    for way in ways:
        for arguments in many:
            try:
                call(module, name, arguments, way)
                said.add("done")
            except PermissionError as error:
                said.add("denied" if str(error).startswith("guard: denied") else "PermissionError")
            except BaseException as error:
                said.add(type(error).__name__)
    os.write(write, json.dumps(sorted(set(told) if told is not None else said)).encode())


def one(module, name, many, ways, listener):
    many = with_port(many, listener.getsockname()[1])
    fresh()
    Path("drawn.pkl").write_bytes(stream(module, name, many[0], ""))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setpgid(0, 0)
            null = os.open(os.devnull, os.O_RDWR)
            for fd in 0, 1, 2:
                os.dup2(null, fd)
            attempt(module, name, many, ways, write)
        finally:
            os._exit(0)
    os.close(write)
    said = b""
    while chunk := os.read(read, 65536) if wait_for(read) else b"":
        said += chunk
    os.close(read)
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.waitpid(child, 0)
    return json.loads(said or b'["ended"]'), effects(listener)


def wait_for(fd):
    return select.select([fd], [], [], SECONDS + 5)[0]


def main():
    if sys.argv[1] == "draw":
        print(json.dumps(draw(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))
        return
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    listener.setblocking(False)
    fresh()
    for module, name, many in json.loads(Path(sys.argv[2]).read_text()):
        for ways in sys.argv[3:]:
            said, found = one(module, name, many, ways.split(","), listener)
            print(json.dumps([module, name, ways, said, found]), flush=True)
    time.sleep(1)
    print(json.dumps(["", "", "late", [], effects(listener)]), flush=True)  # what a process left behind did


if __name__ == "__main__":
    main()

"""Prints every callable that packages offer, as a pickle can name it: a line "module TAB qualified name", with all that
hangs on classes. Importing everything is somebody's code: what it would do besides is refused.

    callables.py stdlib|PACKAGE...
"""
import importlib
import os
import pkgutil
import sys
import types
import warnings

# Modules whose import is a deed in itself, or needs what no test machine has.
LEFT_OUT = {
    "antigravity",  # opens a browser
    "this",  # prints
    "idlelib", "turtle", "turtledemo", "tkinter",  # windows
    "test",  # Python's own tests, among them some that run at import
    "lib2to3.pgen2.conv",  # a script
    "torch.utils.benchmark.examples", "torch.testing._internal", "torch.distributed.elastic.rendezvous.etcd_server",
    "numpy.f2py.tests", "numpy.distutils",
}
REFUSED = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn",
           "socket.connect",
           "socket.bind", "shutil.", "webbrowser.open", "os.kill")
HERE = os.getcwd()  # a folder for the purpose, which is TMPDIR as well


def refuse(event, arguments):
    elsewhere = event in ("os.remove", "os.rmdir", "os.rename") and not os.path.abspath(arguments[0]).startswith(HERE)
    if elsewhere or event.startswith(REFUSED):
        raise PermissionError(f"refused while importing: {event} {arguments}")


def left_out(name):
    return name.endswith("__main__") or ".tests" in name or any(name == out or name.startswith(out + ".")
                                                                for out in LEFT_OUT)


def modules_of(package):
    """Imports the package and everything below it that can be imported."""
    waiting = [package]
    while waiting:
        name = waiting.pop()
        if left_out(name):
            continue
        try:
            module = importlib.import_module(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit, pytest's Skipped ...
            print(f"{name}: {error!r}", file=sys.stderr)
            continue
        yield name, module
        for path in getattr(module, "__path__", ()):
            waiting += [f"{name}.{found.name}" for found in pkgutil.iter_modules([path])]


def callables(module):
    for name in dir(module):
        value = vars(module).get(name)
        if isinstance(value, types.ModuleType) or not callable(value):
            continue
        yield name
        if isinstance(value, type):
            for attribute, method in vars(value).items():
                if callable(method) or isinstance(method, (staticmethod, classmethod)):
                    yield f"{name}.{attribute}"


def main():
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="surrogateescape")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    sys.addaudithook(refuse)
    packages = []
    for word in sys.argv[1:]:
        packages += sorted(sys.stdlib_module_names) if word == "stdlib" else [word]
    seen = set()
    for package in packages:
        for module_name, module in modules_of(package):
            for name in callables(module):
                if (module_name, name) not in seen and not any(c in name for c in "\n\t\0"):
                    seen.add((module_name, name))
                    print(module_name, name, sep="\t", file=out)
    out.flush()
    os._exit(0)  # nothing that was imported gets to do things at the end


if __name__ == "__main__":
    main()

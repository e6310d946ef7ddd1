"""What a pickle can call to do harm with nothing but the standard library: none of it may run, listed or not."""
import logging
import marshal
import operator
import os
import pathlib
import pickle
import shutil
import sqlite3
import subprocess
import timeit
import zipfile

import pytest

from conftest import AttackCases, function_name
from make_models import Call


def touch(marker):
    return f"open({str(marker)!r}, 'w')"


def function_from_marshal(marker):
    """types.FunctionType(marshal.loads(code), {})(); the pickler itself cannot name FunctionType."""
    code = marshal.dumps(compile(touch(marker), "<model>", "eval"))
    body = b"ctypes\nFunctionType\n(cmarshal\nloads\n(B" + len(code).to_bytes(4, "little") + code + b"tR}tR(tR."
    return b"\x80\x04" + body


def call_of_attribute(marker):
    return Call(Call(getattr, Call(__import__, "os"), "system"), f"touch '{marker}'")


GADGETS = {
    "os.system": lambda marker: Call(os.system, f"touch '{marker}'"),
    "os.popen": lambda marker: Call(operator.methodcaller("read"), Call(os.popen, f"touch '{marker}'")),
    "os.mkdir": lambda marker: Call(os.mkdir, str(marker)),
    "os.open": lambda marker: Call(os.open, str(marker), os.O_CREAT),
    "os.symlink": lambda marker: Call(os.symlink, "/dev/null", str(marker)),
    "subprocess.call": lambda marker: Call(subprocess.call, ["touch", str(marker)]),
    "subprocess.Popen": lambda marker: Call(operator.methodcaller("wait"), Call(subprocess.Popen,
                                                                                ["touch", str(marker)])),
    "builtins.exec": lambda marker: Call(exec, touch(marker)),
    "builtins.eval": lambda marker: Call(eval, touch(marker)),
    "builtins.open": lambda marker: Call(open, str(marker), "w"),
    "getattr of __import__": call_of_attribute,
    "Path.touch": lambda marker: Call(pathlib.Path.touch, pathlib.Path(marker)),
    "methodcaller": lambda marker: Call(operator.methodcaller("touch"), pathlib.Path(marker)),
    "shutil.copyfile": lambda marker: Call(shutil.copyfile, "/etc/hostname", str(marker)),
    "timeit.timeit": lambda marker: Call(timeit.timeit, touch(marker), "pass", timeit.default_timer, 1),
    "map": lambda marker: Call(list, Call(map, os.mkdir, [str(marker)])),
    "logging.FileHandler": lambda marker: Call(logging.FileHandler, str(marker)),
    "sqlite3.connect": lambda marker: Call(sqlite3.connect, str(marker)),
    "zipfile.ZipFile": lambda marker: Call(zipfile.ZipFile, str(marker), "w"),
}
# By name, where importing the module here would already run things: module, name, arguments.
BY_NAME = {
    "runpy.run_path": ("runpy", "run_path", lambda marker, script: (str(script),)),
    "cProfile.run": ("cProfile", "run", lambda marker, script: (touch(marker),)),
    "test.support.script_helper": ("test.support.script_helper", "assert_python_ok",
                                   lambda marker, script: (str(script),)),
}
STREAMS = {"marshalled function": function_from_marshal}
NAMES = [*GADGETS, *BY_NAME, *STREAMS]


def write_named(module, name, arguments):
    """A protocol 4 pickle of module.name(*arguments), made without importing the module."""
    def text(value):
        return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()

    body = text(module) + text(name) + b"\x93" + b"(" + b"".join(text(value) for value in arguments) + b"tR."
    return b"\x80\x04" + body


def make_stream(scene, name, marker):
    if name in GADGETS:
        return pickle.dumps(GADGETS[name](marker))
    if name in STREAMS:
        return STREAMS[name](marker)
    module, callee, arguments = BY_NAME[name]
    script = scene.path(marker.name + ".txt")
    script.write_text(touch(marker))
    return write_named(module, callee, arguments(marker, script))


def quietly(body):
    """Profilers print times, which no two runs have in common."""
    return f"with contextlib.redirect_stdout(io.StringIO()):\n    {body}"


@pytest.fixture(scope="module")
def attacks(make_scene):
    """Each twice: in a file, and in bytes that never were one, where only what happens live can tell."""
    scene = make_scene("gadgets")
    bodies = {}
    for name in NAMES:
        function = function_name(name)
        path = scene.path(function + ".pkl")
        path.write_bytes(make_stream(scene, name, scene.marker(function)))
        bodies[name] = quietly(f"pickle.load(open({str(path)!r}, 'rb'))")
        data = make_stream(scene, name, scene.marker(function_name(f"live {name}")))
        bodies[f"live {name}"] = quietly(f"pickle.loads(bytes.fromhex({data.hex()!r}))")
    prelude = "import contextlib, io, pickle, warnings\nwarnings.simplefilter('ignore')"
    return AttackCases(scene, scene.cases("gadgets.py", prelude, bodies), bodies)


@pytest.mark.parametrize("name", NAMES)
def test_in_a_file(attacks, name):
    attacks.check(name)


@pytest.mark.parametrize("name", NAMES)
def test_live(attacks, name):
    attacks.check(f"live {name}")


def test_whole(attacks):
    attacks.check_whole()

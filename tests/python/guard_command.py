"""Runs build/guard as a user does: an ordinary environment, nothing of the guard in it."""
import os
import subprocess
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"
COMMAND = BUILD / "guard"
LIBRARY = BUILD / "libguard.so"


def environment(**more):
    plain = {name: value for name, value in os.environ.items()
             if not name.startswith(("GUARD_", "LD_", "PYTHON", "NO_COLOR"))}
    return {**plain, "LANG": "C.UTF-8", **{name: str(value) for name, value in more.items()}}


def guard_usage(*words):
    """(what it printed, its resource usage): the run's own, its workers included, whatever else this process started."""
    process = subprocess.Popen([str(COMMAND), *map(str, words)], env=environment(), stdout=subprocess.PIPE, text=True)
    with process.stdout:
        text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return text, usage


def guard(*words, cwd=None, env=None, input="", command=COMMAND, timeout=120):
    """The finished process; stdout and stderr as text."""
    return subprocess.run([str(command), *map(str, words)], cwd=cwd, env=environment(**(env or {})), input=input,
                          capture_output=True, timeout=timeout, encoding="utf-8", errors="surrogateescape")

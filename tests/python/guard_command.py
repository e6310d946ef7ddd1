"""Runs build/guard as a user does: an ordinary environment, nothing of the guard in it."""
import json
import os
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"
COMMAND = BUILD / "guard"
LIBRARY = BUILD / "libguard.so"


def environment(**more):
    plain = {name: value for name, value in os.environ.items()
             if not name.startswith(("GUARD_", "LD_", "PYTHON", "NO_COLOR"))}
    return {**plain, "LANG": "C.UTF-8", **{name: str(value) for name, value in more.items()}}


USAGE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:])
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime, usage.ru_maxrss)
"""


def guard_usage(*words):
    """(what it printed, seconds of computing, peak KiB), workers included. A small process starts it: a child's peak
    begins with what its parent had when it forked."""
    done = subprocess.run([sys.executable, "-S", "-c", USAGE, str(COMMAND), *map(str, words)], env=environment(),
                          stdout=subprocess.PIPE, text=True, check=True)
    text, _, usage = done.stdout.rstrip("\n").rpartition("\n")
    seconds, peak = usage.split()
    return text, float(seconds), int(peak)


def guard(*words, cwd=None, env=None, input="", command=COMMAND, timeout=120):
    """The finished process; stdout and stderr as text."""
    return subprocess.run([str(command), *map(str, words)], cwd=cwd, env=environment(**(env or {})), input=input,
                          capture_output=True, timeout=timeout, encoding="utf-8", errors="surrogateescape")


def scan(*paths):
    """What `guard scan --format json` says of each file."""
    run = guard("scan", "--format", "json", *paths, timeout=240)
    assert run.returncode in (0, 1), run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def said(result, effect):
    """The names with which a result's findings speak of this effect."""
    return {finding["name"] for finding in result["findings"] if finding["effect"] == effect}

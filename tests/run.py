#!/usr/bin/env python3
"""Runs the tests and ends with one line: N passed, N failed, N skipped.

    run.py [--work DIR] [--pytest DIR] [PROGRAM ...]

Each PROGRAM speaks TAP on stdout (https://testanything.org): "1..N", "ok 1 - name", "not ok 2 - name", "ok 3 # SKIP
why". One that crashes, hangs, breaks its plan or fails without saying what counts as one more failure. A test that was
skipped because a library of tests/requirements.txt is missing counts as failed: this machine could have run it.
"""

import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

PROGRAM_SECONDS = 600
PYTEST_SECONDS = 3600
TAP_LINE = re.compile(r"(not )?ok\b\s*\d*\s*(?:-\s*)?([^#]*)(?:#\s*(SKIP|TODO)\b\s*(.*))?", re.IGNORECASE)
TAP_PLAN = re.compile(r"1\.\.(\d+)")
MISSING_LIBRARY = re.compile(r"could not import|no module named|not installed|importerror|modulenotfounderror",
                             re.IGNORECASE)


class Tally:
    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []

    def skip(self, name, why):
        if MISSING_LIBRARY.search(why):
            self.failures.append(f"{name}: skipped, but tests/requirements.txt should have brought it: {why}")
        else:
            self.skips.append(f"{name}: {why}")


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def run_tap(program, tally):
    """One TAP program; its diagnostics pass through to our stdout."""
    name = os.path.relpath(program)
    print(f"# {name}", flush=True)
    # Our own interpreter is that of the tests' environment; the one that a first line names may be another.
    command = [sys.executable, program] if program.endswith(".py") else [program]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
    try:
        output, _ = process.communicate(timeout=PROGRAM_SECONDS)
    except subprocess.TimeoutExpired:
        kill_group(process)
        output, _ = process.communicate()
        tally.failures.append(f"{name}: still running after {PROGRAM_SECONDS} s")
    finally:
        kill_group(process)
    plan, seen, failed = None, 0, 0
    for line in output.splitlines():
        if match := TAP_PLAN.match(line):
            plan = int(match.group(1))
        elif match := TAP_LINE.match(line):
            seen += 1
            bad, what, directive, why = match.groups()
            if directive and directive.upper() == "SKIP":
                tally.skip(f"{name}: {what.strip()}", why or "no reason given")
            elif bad:
                failed += 1
                tally.failures.append(f"{name}: {what.strip()}")
                print(line)
            else:
                tally.passed += 1
        else:
            print(line)
    if process.returncode < 0:
        tally.failures.append(f"{name}: killed by {signal.Signals(-process.returncode).name}")
    elif plan is None and process.returncode == 0:
        tally.failures.append(f"{name}: printed no plan")
    elif plan is not None and plan != seen:
        tally.failures.append(f"{name}: planned {plan} tests and ran {seen}")
    elif process.returncode and not failed:
        tally.failures.append(f"{name}: exit status {process.returncode}")


def run_pytest(folder, work, tally):
    report = work / "pytest.xml"
    report.unlink(missing_ok=True)
    # Most of a scene is one process that imports large libraries: two at a time take little more than half the time.
    # By file, since the programs that many tests look at are run once a file.
    command = [sys.executable, "-m", "pytest", folder, "-q", "-rfE", "--durations=10", f"--junitxml={report}",
               "-n", str(len(os.sched_getaffinity(0))), "--dist", "loadfile",
               "-o", f"cache_dir={work / 'pytest_cache'}"]
    print("# " + " ".join(command[1:5]), flush=True)
    process = subprocess.Popen(command, start_new_session=True)
    try:
        status = process.wait(timeout=PYTEST_SECONDS)
    except subprocess.TimeoutExpired:
        tally.failures.append(f"pytest: still running after {PYTEST_SECONDS} s")
        return
    finally:
        kill_group(process)
    if not report.exists():
        tally.failures.append(f"pytest: exit status {status} and no report")
        return
    failed = 0
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            tally.failures.append(name)
        elif (skipped := case.find("skipped")) is not None:
            tally.skip(name, skipped.get("message") or "no reason given")
        else:
            tally.passed += 1
    if status and not failed:
        tally.failures.append(f"pytest: exit status {status}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=pathlib.Path, default="build/check")
    parser.add_argument("--pytest", metavar="DIR")
    parser.add_argument("programs", nargs="*")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)

    # Whoever stops us means what we started as well: it has a session of its own, and the handlers above end it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = time.monotonic()
    tally = Tally()
    for program in arguments.programs:
        run_tap(os.path.abspath(program), tally)
    if arguments.pytest:
        run_pytest(arguments.pytest, arguments.work, tally)

    for title, entries in ("skipped", tally.skips), ("FAILED", tally.failures):
        for entry in entries:
            print(f"{title}: {entry}")
    print(f"# {time.monotonic() - started:.0f} s")
    print(f"{tally.passed} passed, {len(tally.failures)} failed, {len(tally.skips)} skipped", flush=True)
    return 1 if tally.failures or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())

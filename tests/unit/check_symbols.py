#!/usr/bin/env python3
"""Proves what libguard.so shows to the programs it is loaded into. Speaks TAP; needs the environment of the tests
(torch).

    check_symbols.py        in the top folder, after make
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(os.environ.get("BUILD", "build"))
LIBRARY = BUILD / "libguard.so"
COMMAND = BUILD / "guard"
count = failed = 0


def verdict(name, offenders):
    """Passes when there are no offenders."""
    global count, failed
    count += 1
    offenders = list(offenders)
    failed += bool(offenders)
    print(f"{'not ok' if offenders else 'ok'} {count} - {name}")
    for offender in offenders[:40]:
        print(f"#   {offender}")


def output(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


def exported(path):
    """Dynamic definitions as {name: version}."""
    symbols = {}
    for line in output("nm", "-D", "--defined-only", str(path)).splitlines():
        name, _, version = line.split()[-1].partition("@")
        symbols[name] = version.lstrip("@")
    return symbols


def hook_table():
    hooks, skips = set(), set()
    for line in (BUILD / "obj/hooks.txt").read_text().splitlines():
        kind, name = line.split()
        (hooks if kind == "HOOK" else skips).add(name)
    return hooks, skips


def siblings(name):
    """Other names under which glibc offers the same function: fortified, 64-bit, stdio's and the old internal ones."""
    plain = name.removesuffix("64")
    for stem in {name, plain, plain + "64"}:
        yield stem
        for pattern in ("__{}", "__{}_2", "__{}_chk", "_IO_{}", "_{}", "__{}_nocancel", "__{}64_chk", "__{}64_2"):
            yield pattern.format(stem)


def libc_path():
    for line in output("ldd", sys.executable).splitlines():
        if match := re.search(r"libc\.so\.6 => (\S+)", line):
            return match.group(1)
    raise SystemExit("cannot find libc.so.6 of " + sys.executable)


def bindings(code, folder):
    """What ld.so binds while Python runs `code` under the guard: (from, to, symbol), by file name."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"),
                   "LD_PRELOAD": str(LIBRARY.resolve()),
                   "LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": f"{folder}/ld", "LD_BIND_NOW": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{code!r} under the guard: exit status {done.returncode}\n{done.stderr}")
    pattern = re.compile(r"binding file (\S+) \[\d+\] to (\S+) \[\d+\]: normal symbol `(\S+?)'")
    for path in pathlib.Path(folder).glob("ld.*"):
        with open(path, errors="replace") as lines:
            for line in lines:
                if match := pattern.search(line):
                    yield os.path.basename(match[1]), os.path.basename(match[2]), match[3]


def main():
    hooks, skips = hook_table()
    names = exported(LIBRARY)
    verdict("only rows of hooks.def are exported", sorted(set(names) - hooks))
    verdict("every row of hooks.def is exported", sorted(hooks - set(names)))
    verdict("no row is both hooked and skipped", sorted(hooks & skips))

    libc = {name for name, version in exported(libc_path()).items() if version != "GLIBC_PRIVATE"}
    verdict("every sibling that libc has of a hooked name is hooked or skipped",
            sorted({f"{other} (of {name})" for name in hooks for other in siblings(name)
                    if other in libc and other not in hooks and other not in skips}))

    for binary in LIBRARY, COMMAND:
        linked = subprocess.run(["tests/unit/check_link.sh", str(binary)], capture_output=True, text=True)
        verdict(f"{binary.name} needs libc.so.6 alone, at most of version 2.34",
                linked.stderr.splitlines() if linked.returncode else [])
        dynamic = output("readelf", "-dW", str(binary))
        verdict(f"{binary.name} is bound at start and has no text relocations",
                [] if "NOW" in dynamic and "TEXTREL" not in dynamic else dynamic.splitlines())
        verdict(f"{binary.name} has no segment both writable and executable",
                [line for line in output("readelf", "-lW", str(binary)).splitlines() if re.search(r"\bRWE\b", line)])
    own = {line.split()[-1] for line in output("nm", "--defined-only", str(COMMAND)).splitlines()}
    verdict("the command holds no hook", sorted(own & hooks))

    with tempfile.TemporaryDirectory() as folder:
        bound = set(bindings("import torch", folder))
    unwinding = [(user, owner, name) for user, owner, name in bound if name.startswith("_Unwind_")]
    verdict("_Unwind_* of all objects stay with libgcc_s",
            sorted(f"{user}: {name} -> {owner}" for user, owner, name in unwinding if not owner.startswith("libgcc_s")))
    users = {user for user, _, _ in unwinding}
    verdict("... seen of libstdc++ and torch", [] if any(user.startswith("libstdc++") for user in users) and
            any(user.startswith(("libtorch", "libc10")) for user in users) else sorted(users)
            or ["no binding was seen"])
    verdict("what binds to libguard.so is in hooks.def",
            sorted({f"{user}: {name}" for user, owner, name in bound if owner == LIBRARY.name and name not in hooks}))
    verdict("hooks are what programs bind to", [] if any(owner == LIBRARY.name and user != LIBRARY.name
                                                         for user, owner, _ in bound)
            else ["no binding to libguard.so"])
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

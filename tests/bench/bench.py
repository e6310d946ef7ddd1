#!/usr/bin/env python3
"""What guard costs, as ratios from one run.

    bench.py --library build/libguard.so --work build/bench [--rounds N]

Every scene runs without the guard, without it once more, and with it, in turns, so that what else the machine does
falls on all three; medians are shown. The second run without it shows the noise: no ratio means more than that one
does. Nothing is asserted. Goals: python -c pass 1.05, import torch 1.03, torch.load 1.01.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

CHECKPOINT_BYTES = 1 << 30

# Scenes print one number, in seconds, measured inside; or nothing, and the whole process is what is measured.
PASS = "pass"
IMPORT_TORCH = "import torch"
LOAD = """
import sys, time, torch
start = time.perf_counter()
torch.load(sys.argv[1])
print(time.perf_counter() - start)
"""
OPEN = """
import os, sys, time
path, open_, close = sys.argv[1], os.open, os.close
start = time.perf_counter()
for _ in range(50000):
    close(open_(path, os.O_RDONLY))
print((time.perf_counter() - start) / 50000)
"""
OPEN_ALL = """
import sys, time
start = time.perf_counter()
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        file.read(8)
print(time.perf_counter() - start)
"""
SPAWN = """
import os, time
start = time.perf_counter()
for _ in range(200):
    child = os.fork()
    if child == 0:
        os.execv("/bin/true", ["true"])
    os.waitpid(child, 0)
print((time.perf_counter() - start) / 200)
"""

# The live ring. A name resolved again and again by one unpickler; by two callers in turns, so that the stack is walked
# each time; an event of no concern, before and after the thread unpickled something; and a pickle of nothing but names.
FIND_CLASS = """
import pickle, time
data = b"(" + b"cbuiltins\\ncomplex\\n" * 1000 + b"t."
pickle.loads(data)
start = time.perf_counter()
for _ in range(50):
    pickle.loads(data)
print((time.perf_counter() - start) / 50000)
"""
STACK_WALK = """
import pickle, time
data = b"cbuiltins\\ncomplex\\n."
def one(): pickle.loads(data)
def other(): pickle.loads(data)
one()
start = time.perf_counter()
for _ in range(5000):
    one(); other()
print((time.perf_counter() - start) / 10000)
"""
AUDIT_EVENT = """
import sys, time
if "unpickled" in sys.argv:
    import pickle
    pickle.loads(b"cbuiltins\\ncomplex\\n.")
start = time.perf_counter()
for _ in range(1000000):
    id(sys)
print((time.perf_counter() - start) / 1000000)
"""
MANY_GLOBALS = """
import pickle, time
names = [f"{module}\\n{name}"
         for module, name in (("builtins", "complex"), ("collections", "OrderedDict"), ("fractions", "Fraction"))]
data = b"(" + b"".join(b"c" + names[at % 3].encode() + b"\\n" for at in range(100000)) + b"t."
start = time.perf_counter()
pickle.loads(data)
print(time.perf_counter() - start)
"""


def live_scenes():
    return [("find_class", FIND_CLASS, [], 9, ""), ("find_class, walked", STACK_WALK, [], 9, ""),
            ("audit event", AUDIT_EVENT, [], 9, ""), ("event, unpickled", AUDIT_EVENT, ["unpickled"], 9, ""),
            ("100,000 globals", MANY_GLOBALS, [], 9, "")]


# Each file once, as a start does; with GUARD_LOG each leaves a record.
FILES = 500
OPEN_MODELS = """
import os, sys, time
folder, open_, close = sys.argv[1], os.open, os.close
paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
start = time.perf_counter()
for path in paths:
    close(open_(path, os.O_RDONLY))
print((time.perf_counter() - start) / len(paths))
"""
RECORDS = 1_000_000


def make_checkpoint(work):
    """A state dict such as training leaves behind: 1 GB in 64 tensors."""
    path = work / "model" / "checkpoint.pt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"making {path}", flush=True)
        code = ("import sys, torch\n"
                f"rows = {CHECKPOINT_BYTES} // 64 // 4096 // 4\n"
                "torch.save({f'layer.{i}.weight': torch.randn(rows, 4096) for i in range(64)}, sys.argv[1])")
        part = path.with_suffix(".part")
        subprocess.run([sys.executable, "-c", code, str(part)], check=True)
        part.rename(path)
    return path


def make_small_models(work):
    folder = work / "small"
    folder.mkdir(exist_ok=True)
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    for number in range(FILES):
        (folder / f"{number}.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    return folder


def bench_recording(library, work, rounds):
    """What a record costs on top of the judgement."""
    folder, log = str(make_small_models(work)), work / "records.jsonl"
    times = {None: [], log: []}
    for _ in range(rounds):
        for wanted in times:
            log.unlink(missing_ok=True)
            times[wanted].append(measure(OPEN_MODELS, [folder], library, wanted))
    judged, recorded = (statistics.median(times[wanted]) for wanted in times)
    print(f"first open of a small model: {shown(judged)} judged, {shown(recorded)} judged and recorded "
          f"({log.stat().st_size // FILES} bytes a record)", flush=True)


def bench_report(command, work):
    """guard report over a million records of 3000 models."""
    log = work / "million.jsonl"
    line = ('{{"v":1,"time":"2026-01-01T00:{:02}:{:02}.000000Z","pid":{},"tid":1,"seq":{},"event":"load",'
            '"mode":"enforce","decision":"allow","rule":null,"path":"/models/{}/{}.safetensors","format":"safetensors",'
            '"size":1000,"model":{{"id":"hf:org/m{}","revision":null,"inside":"{}.safetensors"}},'
            '"parent":"hf:org/m{}","from":"config.json","edge":"declared","origin":"library","by":{{"python":['
            '{{"file":"/srv/app/infer.py","line":12,"function":"main"}}],"native":[]}}}}\n')
    with log.open("w") as file:
        for number in range(RECORDS):
            model, part = number % 3000, number % 7
            file.write(line.format(number // 60 % 60, number % 60, number % 1000, number, model, part, model, part,
                                   model // 2))
    for form in "json", "html":
        start = time.perf_counter()
        process = subprocess.Popen([command, "report", log, "--format", form, "-o", work / f"million.{form}"])
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - start
        assert status == 0, "guard report failed"
        print(f"guard report --format {form}, {RECORDS:,} records ({log.stat().st_size / 1e6:.0f} MB): {elapsed:.1f} "
              f"s, "
              f"{usage.ru_maxrss / 1024:.0f} MB of memory", flush=True)
    log.unlink()


def make_sparse_models(work, gigabytes):
    """Safetensors files of 5 GB whose tensors are holes."""
    paths = []
    for number in range(gigabytes // 5):
        path = work / "large" / f"model-{number:05}.safetensors"
        size = 5 << 30
        header = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as file:
                file.write(len(header).to_bytes(8, "little") + header)
                file.truncate(8 + len(header) + size)
            time.sleep(2.1)  # hashes of younger files are not remembered
        paths.append(str(path))
    return paths


def make_lock(command, work, paths, cache):
    """A lock of these files; seconds. `cache`: where hashes are remembered."""
    log, lock = work / "lock.log", work / "models.lock"
    log.write_text("".join(json.dumps({"v": 1, "event": "load", "mode": "audit", "decision": "allow", "path": path,
                                       "format": "safetensors"}) + "\n" for path in paths))
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    start = time.perf_counter()
    subprocess.run([str(command), "lock", str(log), "-o", str(lock)], env=environment, stdout=subprocess.DEVNULL,
                   check=True)
    return time.perf_counter() - start, lock


def bench_lock(command, library, work, checkpoint, rounds):
    """Hashing against sha256sum; a start under a lock when all was hashed before."""
    def sha256sum():
        start = time.perf_counter()
        subprocess.run(["sha256sum", checkpoint], stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - start
    gigabytes = os.path.getsize(checkpoint) / 1e9
    ours, theirs = [], []
    for turn in range(rounds):
        theirs.append(sha256sum())
        ours.append(make_lock(command, work, [checkpoint], work / f"no-cache-{turn}")[0])
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"hashing: {gigabytes / ours:.2f} GB/s; sha256sum {gigabytes / theirs:.2f} GB/s", flush=True)

    paths, cache = make_sparse_models(work, 50), work / "cache"
    cache.mkdir(exist_ok=True)
    first, lock = make_lock(command, work, paths, cache)
    again, lock = make_lock(command, work, paths, cache)
    started = {"without": [], "unlocked": [], "locked": []}
    for _ in range(3 * rounds):
        started["without"].append(measure(OPEN_ALL, paths, None))
        started["unlocked"].append(measure(OPEN_ALL, paths, library))
        started["locked"].append(measure(OPEN_ALL, paths, library, GUARD_LOCK=str(lock), XDG_CACHE_HOME=str(cache)))
    without, unlocked, locked = (shown(statistics.median(times)) for times in started.values())
    print(f"50 GB (sparse) in {len(paths)} files: guard lock {shown(first)} (less when hashed before), again "
          f"{shown(again)}; "
          f"opening all without the guard {without}, with it {unlocked}, locked {locked}", flush=True)


def measure(code, arguments, library, log=None, **more):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("GUARD_") and name != "LD_PRELOAD"}
    environment.update(more)
    if library:
        environment["LD_PRELOAD"] = str(library)
    if log:
        environment["GUARD_LOG"] = str(log)
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=environment, stdout=subprocess.PIPE, text=True,
                          check=True)
    elapsed = time.perf_counter() - start
    return float(done.stdout) if done.stdout.strip() else elapsed


def shown(seconds):
    for unit, factor in ("s", 1), ("ms", 1e3), ("us", 1e6):
        if seconds * factor >= 1:
            return f"{seconds * factor:.2f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=float, default=1, help="multiplies the number of rounds")
    arguments = parser.parse_args()
    library = arguments.library.resolve(strict=True)
    arguments.work.mkdir(parents=True, exist_ok=True)
    # Neither this folder nor its parent holds weights: in a model's folder a text might be its config and is looked at.
    plain = arguments.work / "plain" / "plain.txt"
    plain.parent.mkdir(exist_ok=True)
    plain.write_text("no model at all\n" * 1000)
    checkpoint = str(make_checkpoint(arguments.work).resolve())

    scenes = [("python -c pass", PASS, [], 41, "1.05"), ("import torch", IMPORT_TORCH, [], 11, "1.03"),
              ("torch.load, 1 GB", LOAD, [checkpoint], 9, "1.01"), ("open, no model", OPEN, [str(plain)], 11, ""),
              ("fork and exec", SPAWN, [], 11, "")] + live_scenes()
    print(f"{'median of':>18} {'rounds':>6} {'without':>10} {'with':>10} {'ratio':>7} {'noise':>7} {'goal':>5}",
          flush=True)
    for title, code, scene_arguments, rounds, goal in scenes:
        times = {"without": [], "again": [], "with": []}
        rounds = max(3, round(rounds * arguments.rounds))
        measure(code, scene_arguments, library)  # files and code into the page cache
        for turn in range(rounds):
            order = list(times)
            for variant in order[turn % 3:] + order[:turn % 3]:
                times[variant].append(measure(code, scene_arguments, library if variant == "with" else None))
        without, again, guarded = (statistics.median(times[variant]) for variant in ("without", "again", "with"))
        print(f"{title:>18} {rounds:>6} {shown(without):>10} {shown(guarded):>10} {guarded / without:>7.3f} "
              f"{again / without:>7.3f} {goal:>5}", flush=True)
    bench_recording(library, arguments.work, max(3, round(11 * arguments.rounds)))
    bench_report(library.with_name("guard"), arguments.work)
    bench_lock(library.parent / "guard", library, arguments.work.resolve(), checkpoint,
               max(1, round(3 * arguments.rounds)))


if __name__ == "__main__":
    main()

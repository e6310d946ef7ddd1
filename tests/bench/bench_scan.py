#!/usr/bin/env python3
"""What looking into files costs: `guard scan` beside the loader that it protects, best of several runs, in one table.

    bench_scan.py --command build/guard --work build/bench [--rounds N]

Times are processor times, so that they hold on a busy machine: of whole processes of the command, its start included;
of pickle.load, which is C's, measured inside. Nothing is asserted. The memory is the process's peak; the goal for it is
16 MB and 8 bytes for each entry of the pickle's memo and stack.
"""
import argparse
import datetime
import os
import pathlib
import pickle
import subprocess
import sys
import time

CHECKPOINT = """
import sys, torch
size, path = int(sys.argv[1]), sys.argv[2]
with torch.serialization.skip_data():  # holes where the tensors would be
    torch.save({f"layer.{i}.weight": torch.empty(size // 64 // 4) for i in range(64)}, path)
"""
ARRAY = ("import pickle, sys, numpy\n"
         "pickle.dump({'weights': numpy.zeros(200 << 17)}, open(sys.argv[1], 'wb'), protocol=4)")


class Plain:
    def __init__(self, number):
        self.number, self.text = number, str(number)


def dense():
    """Pickles of about 23 MB with little in them but opcodes: name, value, protocol, entries of memo and stack."""
    yield "dicts and texts", lambda: [{"key": i, "text": str(i), "pair": (i, 2.5), "n": None, "list": [i, True]}
                                      for i in range(420_000)], 4, 1_700_000
    yield "integers", lambda: list(range(4_500_000)), 2, 1000
    yield "None and nothing else", lambda: [None] * 23_000_000, 2, 1000
    yield "empty tuples", lambda: [()] * 23_000_000, 2, 1000
    yield "objects", lambda: [Plain(i) for i in range(550_000)], 2, 1_700_000
    yield "dates, protocol 2", lambda: [datetime.date(2020, 1, 1 + i % 28) for i in range(500_000)], 2, 3_000_000
    yield "dates, protocol 4", lambda: [datetime.datetime(2020, 1, 1 + i % 28) for i in range(800_000)], 4, 2_400_000
    yield "sets", lambda: [{i} for i in range(900_000)], 2, 2_700_000


def make(work):
    """The files, unless they are there."""
    work.mkdir(parents=True, exist_ok=True)
    for title, value, protocol, _ in dense():
        path = work / f"{title}.pkl"
        if not path.exists():
            print(f"making {path}", file=sys.stderr, flush=True)
            path.write_bytes(pickle.dumps(value(), protocol))
    for name, code, arguments in (("10 MB.pt", CHECKPOINT, [str(10 << 20)]), ("10 GB.pt", CHECKPOINT, [str(10 << 30)]),
                                  ("array.pkl", ARRAY, [])):
        if not (work / name).exists():
            subprocess.run([sys.executable, "-c", code, *arguments, str(work / name)], check=True)
    small = work / "small"
    small.mkdir(exist_ok=True)
    for number in range(1000):
        (small / f"{number}.pkl").write_bytes(pickle.dumps({"number": number, "list": [1.5] * 20}, 4))


def scan(command, *arguments):
    """(seconds, peak bytes) of one run."""
    process = subprocess.Popen([command, "scan", *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{command} scan {arguments}: status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def load(path):
    with open(path, "rb") as file:
        start = time.process_time()
        value = pickle.load(file)
        seconds = time.process_time() - start
    del value
    return seconds


def apart(*words):
    """Runs this script in a process of its own: a child's peak of memory counts what its parent held when it began."""
    return subprocess.run([sys.executable, __file__, *map(str, words)], stdout=subprocess.PIPE, text=True,
                          check=True).stdout


def load_apart(path):
    return float(apart("--load", path))


def best(rounds, what, *arguments):
    return min(what(*arguments) for _ in range(rounds))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--command", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--make", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--load", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        return make(arguments.make)
    if arguments.load:
        return print(load(arguments.load))
    command, work, rounds = arguments.command.resolve(strict=True), arguments.work / "scan", arguments.rounds
    apart("--make", work)

    def row(title, seconds, memory, other, goal, allowed=16 << 20):
        ratio = f"{seconds / other:.3f}" if other else ""
        print(f"{title:>30} {seconds * 1e3:>9.1f} {other * 1e3 if other else 0:>10.1f} {ratio:>7} {goal:>6} "
              f"{memory / (1 << 20):>8.1f} "
              f"{allowed / (1 << 20):>8.1f}", flush=True)

    print(f"{'best of ' + str(rounds):>30} {'scan, ms':>9} {'other, ms':>10} {'ratio':>7} {'goal':>6} {'peak, MB':>8} "
          f"{'goal, MB':>8}")
    for title, _, _, entries in dense():
        path = work / f"{title}.pkl"
        seconds, memory = best(rounds, scan, command, path)
        row(title, seconds, memory, best(max(2, rounds // 2), load_apart, path), "0.200", (16 << 20) + 8 * entries)
    small, large = best(rounds, scan, command, work / "10 MB.pt"), best(rounds, scan, command, work / "10 GB.pt")
    row("checkpoint of 10 MB", *small, None, "")
    row("of 10 GB, beside 10 MB", *large, small[0], "2.000")
    row("array of 200 MB in a pickle", *best(rounds, scan, command, work / "array.pkl"), None, "20 ms")
    row("1000 small files, one process", *best(rounds, scan, command, "--jobs", 1, work / "small"), None, "")
    row("one small file, cold start", *best(rounds, scan, command, work / "small" / "0.pkl"), None, "")


if __name__ == "__main__":
    main()

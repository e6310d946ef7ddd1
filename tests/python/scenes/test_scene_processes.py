"""The guard goes where the program goes: children, workers, data loaders; and ordinary workers are let be."""
import pickle
import textwrap

import pytest

from conftest import LIBRARY
from make_models import payload, payload_bytes

CHILD = """
    import pickle, sys
    with open("model.pkl", "rb") as file:
        print(type(pickle.load(file)).__name__)
"""

# How a program starts another one with an environment that does not hold LD_PRELOAD.
STARTS = {
    "subprocess, env={}": "result = subprocess.run([PYTHON, 'child.py'], env={}).returncode",
    "subprocess, close_fds=False": "result = subprocess.run([PYTHON, 'child.py'], env={}, close_fds=False).returncode",
    "subprocess, preexec_fn": "result = subprocess.run([PYTHON, 'child.py'], env={}, preexec_fn=int).returncode",
    "subprocess, user's LD_PRELOAD emptied":
        "result = subprocess.run([PYTHON, 'child.py'], env={**os.environ, 'LD_PRELOAD': ''}).returncode",
    "os.execve": "os.execve(PYTHON, [PYTHON, 'child.py'], {})",
    "os.posix_spawn": "pid = os.posix_spawn(PYTHON, [PYTHON, 'child.py'], {})\n"
                      "result = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])",
    "os.fork and exec": "pid = os.fork()\nif pid == 0:\n    os.execve(PYTHON, [PYTHON, 'child.py'], {})\n"
                        "result = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])",
    "env -i": "result = subprocess.run(['env', '-i', PYTHON, 'child.py']).returncode",
    "a shell that unsets it":
        "result = subprocess.run(f'unset LD_PRELOAD GUARD_MODE GUARD_LOG; {PYTHON} child.py', shell=True).returncode",
    "os.environ.clear": "os.environ.clear()\nresult = subprocess.run([PYTHON, 'child.py']).returncode",
}


@pytest.mark.parametrize("start", STARTS)
def test_child_without_environment(scene, start):
    scene.path("model.pkl").write_bytes(payload_bytes(scene.marker()))
    child = scene.write("child.py", CHILD)
    script = scene.path("parent.py")
    script.write_text("import os, subprocess, sys\nPYTHON = sys.executable\n" + STARTS[start] + "\nsys.exit(result)\n")
    scene.attack(script, asker=child)


def test_child_sees_only_the_preload(scene):
    """With no GUARD_ variable set, children get LD_PRELOAD back and nothing else."""
    script = scene.write("parent.py", """
        import subprocess
        print(subprocess.run(["env"], env={"A": "1"}, stdout=subprocess.PIPE).stdout.decode(), end="")
    """)
    without = scene.run_python(script)
    assert without.stdout == "A=1\n", str(without)
    if scene.no_guard:
        pytest.skip("--no-guard")
    bare = scene.run_python(script, env={"LD_PRELOAD": str(LIBRARY)})
    assert sorted(bare.stdout.splitlines()) == ["A=1", f"LD_PRELOAD={LIBRARY}"], str(bare)


WORKERS = """
import multiprocessing, pickle, sys

def load(path):
    with open(path, "rb") as file:
        return sorted(pickle.load(file))

def main(method):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        print(pool.map(load, ["clean.pkl"] * 4), flush=True)
        print(pool.map(load, ["model.pkl"]), flush=True)

if __name__ == "__main__":
    main(sys.argv[1])
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_load_poison(scene, method):
    scene.path("clean.pkl").write_bytes(pickle.dumps({"weights": [1.0]}))
    scene.path("model.pkl").write_bytes(payload_bytes(scene.marker()))
    script = scene.path("workers.py")
    script.write_text(WORKERS)
    _, enforce, _ = scene.attack(script, method)
    assert enforce.stdout.startswith("[['weights']"), f"the clean loads must work\n{enforce}"
    assert enforce.asked_by(script, "load"), f"no record names the worker's function\n{enforce}"


def test_work_given_to_workers(scene):
    """What a program itself hands to its workers is its own doing, whatever its name."""
    script = scene.path("map.py")
    script.write_text(textwrap.dedent("""
        import multiprocessing, os, pathlib, subprocess, sys
        from concurrent.futures import ProcessPoolExecutor

        def main():
            for method in ("fork", "spawn", "forkserver"):
                context = multiprocessing.get_context(method)
                names = [f"{method}-{number}" for number in range(6)]
                for name in names:
                    pathlib.Path(name).touch()
                with context.Pool(2) as pool:
                    pool.map(os.remove, names[:3])
                    print(pool.apply(os.system, ("true",)), pool.apply_async(eval, ("1 + 1",)).get())
                    print(pool.apply(subprocess.call, (["true"],)), pool.apply(getattr, (1, "real")))
                with ProcessPoolExecutor(2, mp_context=context) as executor:
                    list(executor.map(os.remove, names[3:]))
                print(method, any(os.path.exists(name) for name in names), flush=True)
                queue = context.Queue()
                process = context.Process(target=queue.put, args=(os.getcwd,))
                process.start()
                print(queue.get().__name__)
                process.join()
            with multiprocessing.Manager() as manager:
                shared = manager.dict(a=1)
                shared["call"] = os.remove
                print(sorted(shared.keys()), shared["call"].__name__)

        if __name__ == "__main__":
            main()
    """))
    without, _ = scene.benign(script)
    assert "fork False" in without.stdout and "spawn False" in without.stdout


def test_joblib_workers(scene):
    script = scene.path("parallel.py")
    script.write_text(textwrap.dedent("""
        import os
        from joblib import Parallel, delayed

        class Model:
            def __init__(self, scale):
                self.scale = scale

            def predict(self, x):
                return x * self.scale

        if __name__ == "__main__":
            model = Model(3)
            print(Parallel(n_jobs=2)(delayed(model.predict)(number) for number in range(8)))
            print(Parallel(n_jobs=2)(delayed(lambda x: x + 1)(number) for number in range(8)))
            for number in range(4):
                open(f"file-{number}", "w").close()
            Parallel(n_jobs=2)(delayed(os.remove)(f"file-{number}") for number in range(4))
            print(any(os.path.exists(f"file-{number}") for number in range(4)))
    """))
    scene.benign(script)


LOADER = """
import sys
import torch
from torch.utils.data import DataLoader, Dataset

class Shards(Dataset):
    def __init__(self, names):
        self.names = names

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        return torch.load(self.names[index], weights_only=False)["weights"]

def collate(rows):
    return torch.stack(rows)

def main():
    for method in sys.argv[2:]:
        loader = DataLoader(Shards(sys.argv[1].split(",")), batch_size=2, num_workers=2, collate_fn=collate,
                            multiprocessing_context=method)
        for batch in loader:
            print(method, tuple(batch.shape), float(batch.sum()), flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def shards(scene):
    import torch

    for number in range(4):
        torch.save({"weights": torch.full((3,), float(number))}, scene.path(f"{number}.pt"))
    torch.save({"weights": torch.ones(3), "hook": payload(scene.marker())}, scene.path("poisoned.pt"))
    script = scene.path("loader.py")
    script.write_text(LOADER)
    return script


def test_data_loader(scene, shards):
    without, _ = scene.benign(shards, "0.pt,1.pt,2.pt,3.pt", "fork", "spawn", "forkserver")
    assert without.stdout.count("(2, 3)") == 6


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_data_loader_loads_poison(scene, shards, method):
    _, enforce, _ = scene.attack(shards, "0.pt,1.pt,2.pt,poisoned.pt", method)
    assert enforce.asked_by(shards, "__getitem__"), str(enforce)

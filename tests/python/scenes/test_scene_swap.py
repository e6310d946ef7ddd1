"""The model is swapped for a poisoned one while the process runs: the first load works, the second is denied."""

import pytest

from make_models import payload, point_adapter, poison_base

SWAPS = {
    "renamed over": "os.replace('next.pt', 'model.pt')",
    "rewritten in place": "shutil.copyfile('next.pt', 'model.pt')",
    # Same size, same mtime: only ctime and the bytes tell.
    "rewritten with old times": """
        before = os.stat('model.pt')
        data = open('next.pt', 'rb').read()
        with open('model.pt', 'r+b') as file:
            file.write(data)
        os.utime('model.pt', ns=(before.st_atime_ns, before.st_mtime_ns))
    """,
    # Stores through a shared mapping change the bytes at once and the times some day.
    "stored through a mapping": """
        data = open('next.pt', 'rb').read()
        with open('model.pt', 'r+b') as file, mmap.mmap(file.fileno(), 0) as mapping:
            mapping[:] = data
    """,
    "symlink turned": "os.symlink('next.pt', 'link'); os.replace('link', 'model.pt')",
}

PROGRAM = """
import mmap, os, shutil, time
import torch

def load():
    return sorted(torch.load("model.pt", weights_only=False))

print(load(), flush=True)
time.sleep({pause})
{swap}
print(load(), flush=True)
"""


@pytest.mark.parametrize("swap", SWAPS)
def test_between_two_loads(scene, swap):
    import textwrap

    import torch

    # Both of one size, so that the sizes never tell them apart; the clean one is restored before each run.
    torch.save({"weights": torch.ones(64), "pad": "x" * 512}, scene.path("clean.pt"))
    torch.save({"weights": torch.ones(64), "hook": payload(scene.marker())}, scene.path("poisoned.pt"))
    size = max(scene.path(name).stat().st_size for name in ("clean.pt", "poisoned.pt"))
    for name in ("clean.pt", "poisoned.pt"):
        pad_zip(scene.path(name), size)
    # Older than what any cache of verdicts refuses to hold.
    pause = 2.5 if swap == "stored through a mapping" else 0
    body = PROGRAM.format(swap=textwrap.dedent(SWAPS[swap]).strip(), pause=pause)
    script = scene.write("swap.py", "import shutil, os\n"
                                    "for old in ('model.pt', 'next.pt'):\n"
                                    "    if os.path.lexists(old):\n        os.unlink(old)\n"
                                    "shutil.copyfile('clean.pt', 'model.pt')\n"
                                    "shutil.copyfile('poisoned.pt', 'next.pt')\n" + body)
    without, enforce, _ = scene.attack(script)
    assert enforce.stdout == without.stdout.splitlines(True)[0], f"the first load must work\n{enforce}"


def pad_zip(path, size):
    """Grows a zip file to `size` by its trailing comment, which readers skip."""
    data = bytearray(path.read_bytes())
    missing = size - len(data)
    end = data.rindex(b"PK\5\6")
    data[end + 20:end + 22] = missing.to_bytes(2, "little")
    path.write_bytes(data + bytes(missing))


def test_base_model_of_adapter(scene, models):
    base = scene.path("base")
    poison_base(models / "base_bin", scene.path("twin"), scene.marker())
    adapter = point_adapter(models / "adapter_bin", scene.path("adapter"), base)
    clean = models / "base_bin"
    script = scene.write("serve.py", f"""
        import os, shutil
        from peft import AutoPeftModelForCausalLM
        from transformers import logging
        logging.set_verbosity_error()
        logging.disable_progress_bar()

        def load():
            return AutoPeftModelForCausalLM.from_pretrained({str(adapter)!r}, weights_only=False)

        shutil.rmtree("base", ignore_errors=True)
        shutil.copytree({str(clean)!r}, "base")
        print(type(load()).__name__, flush=True)
        shutil.copytree("twin", "base", dirs_exist_ok=True)
        print(type(load()).__name__, flush=True)
    """)
    _, enforce, _ = scene.attack(script)
    assert enforce.stdout == "PeftModelForCausalLM\n", f"the first load must work\n{enforce}"
    assert enforce.asked_by(script, "load")[0]["path"] == str(base / "pytorch_model.bin"), str(enforce)


def test_swapped_after_open(scene):
    """Opened while clean, rewritten in place before it is read: what was judged is what is read."""
    import pickle

    scene.path("clean.pkl").write_bytes(pickle.dumps({"weights": [1.0] * 100}))
    poisoned = pickle.dumps({"hook": payload(scene.marker())})
    size = max(len(poisoned), scene.path("clean.pkl").stat().st_size)
    scene.path("poisoned.pkl").write_bytes(poisoned.ljust(size, b"\0"))
    script = scene.write("late.py", """
        import os, pickle, shutil
        shutil.copyfile("clean.pkl", "model.pkl")
        with open("model.pkl", "rb", buffering=0) as file:
            with open("model.pkl", "r+b") as other:
                other.write(open("poisoned.pkl", "rb").read())
            print(sorted(pickle.load(file)))
    """)
    scene.attack(script)

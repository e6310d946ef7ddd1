"""The model is swapped for a poisoned one while the process runs: the first load works, the second is denied."""
import pickle
import textwrap

import pytest

from conftest import AttackCases, function_name
from make_models import payload, point_adapter, poison_base

# How NEXT comes to stand where MODEL stood. cp and cat, because the program itself may not even read NEXT.
SWAPS = {
    "renamed over": "os.replace(NEXT, MODEL)",
    "rewritten in place": "subprocess.run(['cp', NEXT, MODEL], check=True)",
    # Same size, same mtime: only ctime and the bytes tell.
    "rewritten with old times": """
        before = os.stat(MODEL)
        subprocess.run(["cp", NEXT, MODEL], check=True)
        os.utime(MODEL, ns=(before.st_atime_ns, before.st_mtime_ns))
    """,
    # Stores through a shared mapping change the bytes at once and the times some day; the pause makes MODEL older than
    # what any cache of verdicts refuses to hold.
    "stored through a mapping": """
        time.sleep(2.5)
        load(MODEL)
        data = subprocess.run(["cat", NEXT], stdout=subprocess.PIPE, check=True).stdout
        with open(MODEL, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
            mapping[:] = data
    """,
    "symlink turned": "os.symlink(NEXT, MODEL + '.link'); os.replace(MODEL + '.link', MODEL)",
}

PRELUDE = """
    import mmap, os, pickle, shutil, subprocess, time
    import torch

    def load(path):
        if path.endswith(".pt"):
            return torch.load(path, weights_only=False)
        with open(path, "rb") as file:
            return pickle.load(file)
"""

BODY = """
MODEL, NEXT = {model!r}, {model!r} + ".next"
for old in (MODEL, NEXT):
    if os.path.lexists(old):
        os.unlink(old)
subprocess.run(["cp", {clean!r}, MODEL], check=True)
subprocess.run(["cp", {poisoned!r}, NEXT], check=True)
try:
    load(MODEL)
except PermissionError as error:
    raise RuntimeError("the first load must work") from None
{swap}
load(MODEL)
"""


def pad_zip(path, size):
    """Grows a zip file to `size` by its trailing comment, which readers skip."""
    data = bytearray(path.read_bytes())
    missing = size - len(data)
    end = data.rindex(b"PK\5\6")
    data[end + 20:end + 22] = missing.to_bytes(2, "little")
    path.write_bytes(data + bytes(missing))


def make_pair(scene, form, marker, name):
    """A clean and a poisoned file of one size, so that sizes never tell them apart."""
    import torch

    clean, poisoned = scene.path(f"{name}.clean"), scene.path(f"{name}.poisoned")
    if form == "pt":
        torch.save({"weights": torch.ones(64), "pad": "x" * 1024}, clean)
        torch.save({"weights": torch.ones(64), "hook": payload(marker)}, poisoned)
        for path in (clean, poisoned):
            pad_zip(path, 8192)
    else:
        clean.write_bytes(pickle.dumps({"weights": [1.0] * 100}).ljust(2048, b"\0"))
        poisoned.write_bytes(pickle.dumps({"hook": payload(marker)}).ljust(2048, b"\0"))
    assert clean.stat().st_size == poisoned.stat().st_size
    return clean, poisoned


NAMES = [f"{swap}, {form}" for swap in SWAPS for form in ("pt", "pkl")]


@pytest.fixture(scope="module")
def swaps(make_scene):
    scene = make_scene("swap")
    bodies = {}
    for name in NAMES:
        swap, _, form = name.rpartition(", ")
        function = function_name(name)
        clean, poisoned = make_pair(scene, form, scene.marker(function), function)
        bodies[name] = BODY.format(model=str(scene.path(f"{function}.{form}")), clean=str(clean),
                                   poisoned=str(poisoned), swap=textwrap.dedent(SWAPS[swap]).strip())
    return AttackCases(scene, scene.cases("swap.py", PRELUDE, bodies), bodies)


@pytest.mark.parametrize("name", NAMES)
def test_between_two_loads(swaps, name):
    swaps.check(name)
    assert "the first load must work" not in swaps.enforce.outcomes[name], str(swaps.enforce)


def test_whole(swaps):
    swaps.check_whole()


def test_base_model_of_adapter(scene, models):
    base = scene.path("base")
    poison_base(models / "base_bin", scene.path("twin"), scene.marker())
    adapter = point_adapter(models / "adapter_bin", scene.path("adapter"), base)
    script = scene.write("serve.py", f"""
        import subprocess
        from peft import AutoPeftModelForCausalLM
        from transformers import logging
        logging.set_verbosity_error()
        logging.disable_progress_bar()

        def load():
            return AutoPeftModelForCausalLM.from_pretrained({str(adapter)!r}, weights_only=False)

        subprocess.run(["sh", "-c", "rm -rf base; cp -r {models / "base_bin"} base"], check=True)
        print(type(load()).__name__, flush=True)
        subprocess.run(["sh", "-c", "cp twin/* base/"], check=True)
        print(type(load()).__name__, flush=True)
    """)
    _, enforce, _ = scene.attack(script)
    assert enforce.stdout == "PeftModelForCausalLM\n", f"the first load must work\n{enforce}"
    assert enforce.asked_by(script, "load")[0]["path"] == str(base / "pytorch_model.bin"), str(enforce)


def test_swapped_after_open(scene):
    """Opened while clean, rewritten in place before it is read: what was judged is what is read."""
    clean, poisoned = make_pair(scene, "pkl", scene.marker(), "pair")
    script = scene.write("late.py", f"""
        import pickle, subprocess
        subprocess.run(["cp", {str(clean)!r}, "model.pkl"], check=True)
        with open("model.pkl", "rb", buffering=0) as file:
            subprocess.run(["cp", {str(poisoned)!r}, "model.pkl"], check=True)
            print(sorted(pickle.load(file)))
    """)
    scene.attack(script)

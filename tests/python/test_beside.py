"""Code that lies beside a model, as `guard scan` sees it: in a downloaded model, in an application's repository that
keeps weights beside its code, in an installed package, and where there is no model at all."""
import json
import marshal
import py_compile
import shutil
import subprocess
import sys

import pytest

from conftest import COMMAND, LIBRARY
from guard_command import environment

HUB = "hub/models--org--name/snapshots/" + 40 * "0"
EXECUTED = "import os; os.environ.setdefault('SEEN', '1')\n"


def scan(folder):
    done = subprocess.run([COMMAND, "scan", "--format", "json", folder], capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stderr
    return {result["path"].removeprefix(f"{folder}/"): result for result in map(json.loads, done.stdout.splitlines())}


def verdicts(folder):
    return {name: result["verdict"] for name, result in scan(folder).items()}


def fill(folder, weights=True):
    """An application as it is: modules, a package, Python's own cache, a script; weights beside them."""
    (folder / "package").mkdir(parents=True)
    for name in "infer.py", "model.py", "utils.py", "package/__init__.py", "package/layers.py":
        (folder / name).write_text("x = 1\n")
    py_compile.compile(folder / "model.py")
    (folder / "requirements.txt").write_text("torch\n")
    if weights:
        (folder / "weights.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    return folder


def test_application(tmp_path):
    """Its own code is its own."""
    assert set(verdicts(fill(tmp_path / "app")).values()) == {"allow"}


def test_start_up(tmp_path):
    """What Python runs by itself is denied beside weights; the same names beside none are nobody's business."""
    for weights, expected in (True, "deny"), (False, "allow"):
        folder = fill(tmp_path / f"model-{weights}", weights)
        (folder / "sitecustomize.py").write_text("x = 1\n")
        (folder / "hook.pth").write_text(f"/some/path\n{EXECUTED}")
        (folder / "package" / "usercustomize").mkdir()
        (folder / "package" / "usercustomize" / "__init__.py").write_text("x = 1\n")
        (folder / "plain.pth").write_text("/some/path\n# import nothing\n")
        found = verdicts(folder)
        assert found["sitecustomize.py"] == found["hook.pth"] == expected
        assert found["plain.pth"] == found["infer.py"] == found["model.py"] == "allow"
    assert scan(tmp_path / "model-True")["hook.pth"]["findings"][0]["name"] == "python-path/hook"


def test_python_does_run_them(tmp_path):
    """The threat is real: with the model's folder on its path, Python executes both."""
    (tmp_path / "sitecustomize.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    subprocess.run([sys.executable, "-c", ""], env=environment(PYTHONPATH=tmp_path), check=True, timeout=60)
    assert (tmp_path / "marker").exists()
    (tmp_path / "hook.pth").write_text(f"import os; open({str(tmp_path / 'second')!r}, 'w')\n")
    subprocess.run([sys.executable, "-c", f"import site; site.addsitedir({str(tmp_path)!r})"], env=environment(),
                   check=True, timeout=60)
    assert (tmp_path / "second").exists()


def test_shadows_and_what_cannot_be_read(tmp_path):
    folder = fill(tmp_path / "app")
    (folder / "json.py").write_text("x = 1\n")
    (folder / "torch").mkdir()
    (folder / "torch" / "__init__.py").write_text("x = 1\n")
    shutil.copy(LIBRARY, folder / "kernel.so")
    py_compile.compile(folder / "utils.py", folder / "helper.pyc")
    (folder / "code.bin").write_bytes(marshal.dumps(compile("x = 1", "x", "exec")))
    results = scan(folder)
    names = {name: (result["verdict"], result["findings"][0]["name"]) for name,
             result in results.items() if result["findings"]}
    assert names == {"json.py": ("warn", "python-source/json"), "torch/__init__.py": ("warn", "python-source/torch"),
                     "kernel.so": ("warn", "native-object/kernel"), "helper.pyc": ("warn", "python-bytecode/helper"),
                     "code.bin": ("deny", "marshal")}


def test_hub(tmp_path):
    """Of a downloaded model all code is of interest, whatever lies beside it."""
    folder = fill(tmp_path / HUB, weights=False)
    (folder / "usercustomize.py").write_text("x = 1\n")
    found = verdicts(tmp_path)
    assert found[f"{HUB}/model.py"] == found[f"{HUB}/package/__init__.py"] == "warn"
    assert found[f"{HUB}/usercustomize.py"] == "deny"
    assert found[f"{HUB}/requirements.txt"] == "allow"
    assert any(path.endswith(".pyc") and verdict == "warn" for path, verdict in found.items())


@pytest.mark.parametrize("packages", ["site-packages", "dist-packages"])
def test_installed_package(tmp_path, packages):
    """Packages bring weights, native code and lines for start-up."""
    folder = fill(tmp_path / "lib/python3.11" / packages / "tool")
    shutil.copy(LIBRARY, folder / "_tool.so")
    (folder.parent / "distutils-precedence.pth").write_text(EXECUTED)
    (folder / "sitecustomize.py").write_text("x = 1\n")
    assert set(verdicts(tmp_path).values()) == {"allow"}


def test_text_is_short(tmp_path):
    """For people: an application's own sources are not listed."""
    done = subprocess.run([COMMAND, "scan", fill(tmp_path / "app")], capture_output=True, text=True, timeout=120)
    assert ".py" not in done.stdout and "weights.safetensors" in done.stdout
    assert "1 of them models or pickles" in done.stdout

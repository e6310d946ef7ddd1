"""The libraries' own switches and what else a policy sets beside its rules: off by default, set before the interpreter
reads its environment, and never in audit."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

from interpreters import every_interpreter

INTERPRETERS = every_interpreter()
SOURCES = Path(__file__).parent / "native"
NAMES = ["TORCH_FORCE_WEIGHTS_ONLY_LOAD", "DIFFUSERS_DISABLE_REMOTE_CODE", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION",
         "DISABLE_SAFETENSORS_CONVERSION"]
# What the program reads at its start, and what it changes afterwards.
SHOW = f"""
    import json, os, subprocess, sys
    if "child" not in sys.argv:
        sys.exit(subprocess.call([sys.executable, __file__, "child"], env={{}}))
    os.environ["LATER"] = "x" * 100
    os.putenv("MORE", "y")
    del os.environ["LATER"]
    print(json.dumps({{name: os.environ.get(name) for name in {NAMES} + ["OTHER"]}}))
    print(sum(name.startswith("TORCH_FORCE") for name in os.environ), os.popen("echo $MORE").read().strip())
"""


def shown(run):
    values, rest = run.stdout.splitlines()
    assert (run.returncode, run.stderr, rest) == (0, "", "1 y"), str(run)
    return list(json.loads(values).values())


@pytest.fixture
def policy(scene):
    def write(**keys):
        scene.path("policy.json").write_text(json.dumps({"version": 1, **keys}))
        return scene.path("policy.json")
    return write


@pytest.fixture(autouse=True)
def guarded(no_guard):
    if no_guard:
        pytest.skip("--no-guard")


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_environment(scene, policy, interpreter):
    scene.python = INTERPRETERS[interpreter]
    script = scene.write("show.py", SHOW)
    on = policy(switches={name: True for name in NAMES})
    mine = {"OTHER": "here", NAMES[0]: "0"}
    as_it_was = ["0", None, None, None, "here"]

    def values(**options):
        return shown(scene.run_python(script, "child", env=mine, **options))

    assert values() == values(mode="enforce") == as_it_was
    assert values(mode="enforce", policy=on) == ["1", "true", "false", "true", "here"]
    assert values(mode="audit", policy=on) == values(mode="off", policy=on) == as_it_was
    assert values(mode="enforce", policy=policy(switches={name: False for name in NAMES})) == as_it_was


def test_children_with_an_environment_of_their_own(scene, policy):
    script = scene.write("show.py", SHOW)
    run = scene.run_python(script, mode="enforce", policy=policy(switches={NAMES[0]: True}))
    assert shown(run)[0] == "1", str(run)


def test_guard_run(scene, policy):
    script = scene.write("show.py", SHOW)
    run = scene.guard("run", "--policy", policy(switches={NAMES[0]: True}), "--", sys.executable, script, "child")
    assert shown(run)[0] == "1", str(run)


def test_torch_loads_weights_only(scene, policy):
    """A class of the application's own, which the guard lets load and torch with the switch does not."""
    script = scene.write("infer.py", """
        import sys, torch
        class Config:
            pass
        if len(sys.argv) > 1:
            torch.save(Config(), "config.pt")
        else:
            print(type(torch.load("config.pt", weights_only=False)))
        """)
    assert scene.run_python(script, "make").returncode == 0
    for keys in {}, {"switches": {NAMES[0]: False}}:
        run = scene.run_python(script, mode="enforce", policy=policy(**keys))
        assert (run.stdout, run.returncode) == ("<class '__main__.Config'>\n", 0), str(run)
    run = scene.run_python(script, mode="enforce", policy=policy(switches={NAMES[0]: True}))
    assert run.returncode == 1 and "Weights only load failed" in run.stderr, str(run)


def test_what_makes_a_library_laxer_is_reported(scene):
    script = scene.write("app.py", "print('fine')")
    run = scene.run_python(script, mode="enforce", env={"HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE": "*"})
    assert [record["name"] for record in run.warnings] == ["HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE"], str(run)
    assert run.warnings[0]["event"] == "error" and "instantiate" in run.warnings[0]["why"]
    assert not scene.run_python(script, mode="enforce").warnings


def test_no_deepbind(scene, policy):
    """Without the option a library loaded so finds libc's open before the guard's; with it, the guard's."""
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", scene.path("libopen.so"), SOURCES / "opens.c"], check=True)
    scene.path("poisoned.pkl").write_bytes(b"cos\nsystem\n(S'exit 0'\ntR.")
    script = scene.write("app.py", """
        import ctypes, os
        print(ctypes.CDLL("./libopen.so", mode=os.RTLD_NOW | os.RTLD_DEEPBIND).opens(b"poisoned.pkl"))
        """)
    assert scene.run_python(script, mode="enforce").stdout == "1\n"
    assert scene.run_python(script, mode="enforce", policy=policy(no_deepbind=True)).stdout == "0\n"
    assert scene.run_python(script, mode="audit", policy=policy(no_deepbind=True)).stdout == "1\n"


@pytest.mark.parametrize("keys, says", [
    ({"switches": {"TORCH_FORCE": True}}, "no switch is called"),
    ({"switches": {"MY_SWITCH": {"value": "1", "why": "mine"}}}, ""),
    ({"limits": {"quiet_seconds": -1}}, "whole number"),
    ({"limits": {"quiet_seconds": 5}}, ""),
])
def test_policy_check(scene, policy, keys, says):
    run = scene.guard("policy", "check", policy(**keys))
    assert (run.returncode == 0) == (not says) and says in run.stdout + run.stderr, str(run)

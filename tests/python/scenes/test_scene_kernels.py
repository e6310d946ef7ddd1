"""Kernels of the hub: Python and native code that the `kernels` library downloads and executes the first time a layer is used. They
are a model's code like any other: named by the hub's repository, and executed only where a rule says so."""
import subprocess
import textwrap

import pytest

import hub_cache
from conftest import AttackCases, assert_untouched, function_name

METADATA = """{"id": "_relu_cpu_NUMBER", "name": "relu", "version": 1, "license": "Apache-2.0", "python-depends": [],
"backend": {"type": "cpu"}}"""
PYTHON = """
import ctypes, os
from pathlib import Path
import torch
if "MARKER" in os.environ:
    open(os.environ["MARKER"], "w").close()
library = ctypes.CDLL(str(Path(__file__).parent / "relu.so"))
library.relu.restype, library.relu.argtypes = ctypes.c_double, [ctypes.c_double]
def relu(x):
    return torch.tensor([library.relu(value) for value in x.tolist()])
class layers:
    class ReLU(torch.nn.Module):
        def forward(self, x):
            return relu(x)
"""
NATIVE = "double relu(double x); double relu(double x) { return x > 0 ? x : 0; }"
LOADS = {
    "get_kernel": "relu = kernels.get_kernel('org/reluNUMBER', revision='main').relu",
    "get_local_kernel": "relu = kernels.get_local_kernel(SNAPSHOT).relu",
    "a layer": """
        kernels.register_kernel_mapping({"ReLU": {"cpu": {kernels.Mode.INFERENCE: kernels.LayerRepository(
            "org/reluNUMBER", layer_name="ReLU", revision="main")}}})
        @kernels.use_kernel_forward_from_hub("ReLU")
        class ReLU(torch.nn.Module):
            def forward(self, x): return torch.relu(x)
        relu = kernels.kernelize(ReLU(), mode=kernels.Mode.INFERENCE, device="cpu")""",
}
OWN = "the application's own"  # which lies in its folder
PRELUDE = """
    import os, warnings
    warnings.simplefilter("ignore")
    from pathlib import Path
    import kernels, torch
    os.makedirs("markers", exist_ok=True)
"""


def write_kernel(scene, folder, number):
    folder = folder / "build" / "torch-cpu"
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text(METADATA.replace("NUMBER", str(number)))
    (folder / "__init__.py").write_text(PYTHON)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "relu.so", scene.write("relu.c", NATIVE)], check=True)


@pytest.fixture(scope="module")
def attacks(make_scene):
    scene = make_scene("kernels")
    write_kernel(scene, scene.path("app/relu"), len(LOADS))
    bodies = {OWN: "relu = kernels.get_local_kernel(Path('app/relu')).relu"}
    for number, (name, body) in enumerate(LOADS.items()):
        write_kernel(scene, scene.path(f"written{number}"), number)
        snapshot = hub_cache.add_repository(scene.path("hub"), f"org/relu{number}", scene.path(f"written{number}"), kind="kernels")
        bodies[name] = textwrap.dedent(body).replace("NUMBER", str(number)).replace("SNAPSHOT", f"Path({str(snapshot)!r})")
    bodies = {name: f"os.environ['MARKER'] = 'markers/{function_name(name)}'\n{body}\n"
                    "assert relu(torch.tensor([-1.0, 2.0])).tolist() == [0.0, 2.0]" for name, body in bodies.items()}
    script = scene.cases("app/infer.py", PRELUDE, bodies)
    return AttackCases(scene, script, LOADS, env={"HF_HUB_CACHE": str(scene.path("hub"))})


@pytest.mark.parametrize("name", LOADS)
def test_kernel_of_the_hub(attacks, name):
    attacks.check(name)
    denied = attacks.enforce.asked_by(attacks.script, function_name(name))
    number = list(LOADS).index(name)
    assert {(record["rule"], record["origin"], record["model"]["id"]) for record in denied} == {
        ("model-code", "model-code", f"hf:kernels/org/relu{number}")}, str(attacks.enforce)


def test_kernel_of_the_application(attacks):
    attacks.check_whole()
    assert attacks.enforce.outcomes[OWN] == "loaded" and not attacks.enforce.asked_by(attacks.script, function_name(OWN))


def test_rules_allow_a_kernel(attacks):
    """As the lines tell the user: its Python, then its library, each by its content."""
    attacks.check_whole()
    scene, options = attacks.scene, {"mode": "enforce", "env": {"HF_HUB_CACHE": str(attacks.scene.path("hub"))}}
    policy = scene.allow_as_told(attacks.enforce, scene.path("policy.json"))
    native = scene.run_python(attacks.script, policy=policy, **options)
    assert {record["rule"] for record in native.denials} == {"native-of-model"}, str(native)
    scene.allow_as_told(native, policy)
    assert policy.read_text().count('"sha256"') == 2 * len(LOADS), policy.read_text()
    assert_untouched(attacks.without, scene.run_python(attacks.script, policy=policy, **options))

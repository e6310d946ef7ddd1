"""A pickle whose only act is to load another model: denied for that; and where a policy allows that, the other model is
judged when it opens."""
import functools
import pickle

import pytest

from conftest import AttackCases, function_name
from make_models import Call, payload, poison_base

# torch.load's own default is weights_only=True; users with old checkpoints switch that off for the whole process.
UNSAFE_TORCH = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}

PRELUDE = """
    import pickle, warnings
    warnings.simplefilter("ignore")

    def load(path):
        with open(path, "rb") as file:
            return pickle.load(file)
"""

# Which loader the pickle calls: how the other model is written.
LOADERS = {"torch.load": "torch", "torch.load by partial": "torch", "joblib.load": "joblib", "numpy.load": "numpy",
           "pandas.read_pickle": "pickle"}
# A call of what the stream itself computed has no name that a rule could allow.
ALLOWABLE = [loader for loader in LOADERS if "partial" not in loader]


def write_other(kind, path, hook):
    import joblib
    import numpy
    import torch

    if kind == "torch":
        torch.save({"weights": torch.ones(2), "hook": hook}, path)
    elif kind == "joblib":
        joblib.dump({"hook": hook}, path)
    elif kind == "numpy":
        objects = numpy.empty(1, dtype=object)
        objects[0] = hook
        with open(path, "wb") as file:
            numpy.save(file, objects)
    else:
        path.write_bytes(pickle.dumps([hook]))


def load_call(loader, path):
    import joblib
    import numpy
    import pandas
    import torch

    return {"torch.load": Call(torch.load, path),
            "torch.load by partial": Call(functools.partial(torch.load, weights_only=False), path),
            "joblib.load": Call(joblib.load, path), "numpy.load": Call(numpy.load, path, None, True),
            "pandas.read_pickle": Call(pandas.read_pickle, path)}[loader]


def write_scene(scene, hook_of, loaders):
    """For each loader a pickle that loads an `other` file with the object hook_of(loader); the program's cases."""
    bodies = {}
    for loader in loaders:
        name = function_name(loader)
        other = scene.path(name + ".other")
        write_other(LOADERS[loader], other, hook_of(loader))
        scene.path(name + ".pkl").write_bytes(pickle.dumps(load_call(loader, str(other))))
        bodies[loader] = f"load({str(scene.path(name + '.pkl'))!r})"
    return bodies


@pytest.fixture(scope="module")
def poisoned(make_scene):
    scene = make_scene("hidden")
    bodies = write_scene(scene, lambda loader: payload(scene.marker(function_name(loader))), LOADERS)
    return AttackCases(scene, scene.cases("load.py", PRELUDE, bodies), bodies, env=UNSAFE_TORCH)


@pytest.mark.parametrize("loader", LOADERS)
def test_denied(poisoned, loader):
    poisoned.check(loader)
    enforce = poisoned.enforce
    name = function_name(loader)
    denials = enforce.asked_by(poisoned.script, name)
    assert denials[0]["path"].endswith(name + ".pkl"), f"denied is the pickle, not what it loads\n{enforce}"
    line = next(line for line in enforce.guard_lines if line.startswith("guard: denied ") and name + ".pkl" in line)
    # Pickles name functions by the module that defines them: torch.serialization.load.
    words = (loader.partition(".")[0], loader.partition(" ")[0].rpartition(".")[2])
    assert all(word in line for word in words), f"the line does not name the loader\n{enforce}"
    if "partial" not in loader:  # the stream's own call names torch.load, but not yet what it is given
        assert name + ".other" in line, f"the line does not name the other model\n{enforce}"
        assert any(record["edge"] == "pickled" and name + ".other" in str(record) for record in enforce.records), \
            f"no edge to the other model\n{enforce}"


def test_denied_whole(poisoned):
    poisoned.check_whole()


@pytest.fixture(scope="module")
def allowed(make_scene):
    """What a user goes through: clean dependencies are denied; the commands that the denials print are run; then
    everything loads. After that the other models are swapped for poisoned ones."""
    scene = make_scene("allowed")
    bodies = write_scene(scene, lambda loader: "clean", ALLOWABLE)
    script = scene.cases("load.py", PRELUDE, bodies)
    policy = scene.path("policy.json")
    runs = [scene.run_python(script, env=UNSAFE_TORCH)]
    if not scene.no_guard:
        runs.append(scene.run_python(script, mode="enforce", env=UNSAFE_TORCH))
        scene.allow_as_told(runs[1], policy)
        runs.append(scene.run_python(script, mode="enforce", policy=policy, env=UNSAFE_TORCH))
    before = {path.name: path.read_bytes() for path in scene.folder.glob("*.pkl")}
    write_scene(scene, lambda loader: payload(scene.marker(function_name(loader))), ALLOWABLE)
    assert before == {path.name: path.read_bytes() for path in scene.folder.glob("*.pkl")}
    return runs, AttackCases(scene, script, bodies, policy=policy, env=UNSAFE_TORCH)


@pytest.mark.parametrize("loader", ALLOWABLE)
def test_allowed(allowed, loader):
    (without, *guarded), _ = allowed
    assert without.outcomes[loader] == "loaded", str(without)
    if not guarded:
        pytest.skip("--no-guard")
    denied, after = guarded
    assert "PermissionError" in denied.outcomes[loader], f"a hidden dependency is denied, whatever it holds\n{denied}"
    assert after.outcomes[loader] == "loaded", f"denied in spite of the policy that the guard told to write\n{after}"


@pytest.mark.parametrize("loader", ALLOWABLE)
def test_poisoned_dependency_of_allowed_pickle(allowed, loader):
    _, attacks = allowed
    attacks.check(loader)
    name = function_name(loader)
    assert any((record["path"] or "").endswith(name + ".other")
               for record in attacks.enforce.asked_by(attacks.script, name)), \
        f"the denial is not about the other model\n{attacks.enforce}"


def test_from_pretrained(scene, models):
    """Bound class methods as callables, a folder as the model. Recent transformers refuses payloads by itself unless
    told otherwise (the partial); the plain call names a clean model."""
    from transformers import AutoModel, AutoModelForCausalLM

    base = poison_base(models / "base_bin", scene.path("base"), scene.marker("case_poisoned"))
    load = functools.partial(AutoModelForCausalLM.from_pretrained, weights_only=False)
    scene.path("poisoned.pkl").write_bytes(pickle.dumps(Call(load, str(base))))
    scene.path("clean.pkl").write_bytes(pickle.dumps(Call(AutoModel.from_pretrained, str(models / "base")), 4))
    bodies = {"clean": "load('clean.pkl')", "poisoned": "load('poisoned.pkl')"}
    attacks = AttackCases(scene, scene.cases("load.py", PRELUDE, bodies), bodies)
    assert attacks.without.outcomes["clean"] == "loaded", str(attacks.without)
    attacks.check("poisoned")
    for case in bodies:
        assert "PermissionError" in attacks.enforce.outcomes[case], str(attacks.enforce)
        denial = attacks.enforce.asked_by(attacks.script, function_name(case))[0]
        assert denial["path"].endswith(case + ".pkl"), str(attacks.enforce)

"""A pickle whose only act is to load another model: denied for that; and where a policy allows that, the other model is
judged when it opens."""
import functools
import pickle

import pytest

from make_models import Call, payload, poison_base

# torch.load's own default is weights_only=True; users with old checkpoints switch that off for the whole process.
UNSAFE_TORCH = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}

LOAD = """
    import pickle
    import warnings
    warnings.simplefilter("ignore")

    with open("model.pkl", "rb") as file:
        print(type(pickle.load(file)).__name__)
"""


def make_torch_load(scene, hook):
    import torch

    torch.save({"weights": torch.ones(2), "hook": hook}, scene.path("other.pt"))
    return Call(torch.load, str(scene.path("other.pt")))


def make_torch_load_partial(scene, hook):
    import torch

    torch.save({"weights": torch.ones(2), "hook": hook}, scene.path("other.pt"))
    return Call(functools.partial(torch.load, weights_only=False), str(scene.path("other.pt")))


def make_joblib_load(scene, hook):
    import joblib

    joblib.dump({"hook": hook}, scene.path("other.joblib"))
    return Call(joblib.load, str(scene.path("other.joblib")))


def make_numpy_load(scene, hook):
    import numpy

    objects = numpy.empty(1, dtype=object)
    objects[0] = hook
    numpy.save(scene.path("other.npy"), objects)
    return Call(numpy.load, str(scene.path("other.npy")), None, True)


def make_read_pickle(scene, hook):
    import pandas

    scene.path("other.pkl").write_bytes(pickle.dumps([hook]))
    return Call(pandas.read_pickle, str(scene.path("other.pkl")))


MAKERS = {"torch.load": make_torch_load, "torch.load by partial": make_torch_load_partial,
          "joblib.load": make_joblib_load, "numpy.load": make_numpy_load, "pandas.read_pickle": make_read_pickle}
OTHERS = {"joblib.load": "other.joblib", "numpy.load": "other.npy", "pandas.read_pickle": "other.pkl"}


@pytest.mark.parametrize("loader", MAKERS)
def test_denied(scene, loader):
    scene.path("model.pkl").write_bytes(pickle.dumps(MAKERS[loader](scene, payload(scene.marker()))))
    script = scene.write("load.py", LOAD)
    _, enforce, _ = scene.attack(script, env=UNSAFE_TORCH)
    other = OTHERS.get(loader, "other.pt")
    denials = enforce.asked_by(script)
    assert denials[0]["path"].endswith("model.pkl"), f"the pickle itself is denied, not what it loads\n{enforce}"
    assert "torch.load" in str(denials) if "partial" in loader else \
        any(loader in line and other in line for line in enforce.guard_lines), \
        f"the line does not name the loader and {other}\n{enforce}"
    assert any(record["edge"] == "pickled" and other in str(record) for record in enforce.records), \
        f"no edge to {other}\n{enforce}"


def test_clean_dependency_is_denied_too(scene):
    """A pickle that loads other models is a hidden dependency, whatever the other one holds."""
    scene.path("model.pkl").write_bytes(pickle.dumps(make_torch_load(scene, "clean")))
    script = scene.write("load.py", LOAD)
    without = scene.run_python(script, env=UNSAFE_TORCH)
    assert without.returncode == 0, str(without)
    if scene.no_guard:
        pytest.skip("--no-guard")
    enforce = scene.run_python(script, mode="enforce", env=UNSAFE_TORCH)
    assert enforce.returncode == 1 and "PermissionError" in enforce.stderr, str(enforce)
    assert enforce.asked_by(script), str(enforce)


@pytest.mark.parametrize("loader", ["torch.load", "joblib.load", "numpy.load", "pandas.read_pickle"])
def test_allowed_dependency(scene, loader):
    """The user does what the denial's second line says: the clean dependency loads, the poisoned one is still denied."""
    clean = MAKERS[loader](scene, "clean")
    scene.path("model.pkl").write_bytes(pickle.dumps(clean))
    script = scene.write("load.py", LOAD)
    without = scene.run_python(script, env=UNSAFE_TORCH)
    assert without.returncode == 0, str(without)
    if not scene.no_guard:
        denied = scene.run_python(script, mode="enforce", env=UNSAFE_TORCH)
        policy = scene.allow_as_told(denied, scene.path("policy.json"))
        allowed = scene.run_python(script, mode="enforce", policy=policy, env=UNSAFE_TORCH)
        assert (allowed.returncode, allowed.stdout) == (0, without.stdout), f"{policy.read_text()}\n{allowed}"
    # The same pickle; what it loads is swapped for a poisoned one.
    again = MAKERS[loader](scene, payload(scene.marker()))
    assert pickle.dumps(again) == pickle.dumps(clean)
    _, enforce, _ = scene.attack(script, env=UNSAFE_TORCH, policy=scene.path("policy.json"))
    other = OTHERS.get(loader, "other.pt")
    assert any(record["path"].endswith(other) for record in enforce.asked_by(script)), \
        f"the denial is not about {other}\n{enforce}"


def test_from_pretrained(scene, models):
    """A bound class method as the callable, keywords by partial, a folder as the model."""
    from transformers import AutoModelForCausalLM

    base = poison_base(models / "base_bin", scene.path("base"), scene.marker())
    load = functools.partial(AutoModelForCausalLM.from_pretrained, weights_only=False)
    scene.path("model.pkl").write_bytes(pickle.dumps(Call(load, str(base))))
    script = scene.write("load.py", LOAD)
    _, enforce, _ = scene.attack(script)
    assert enforce.asked_by(script)[0]["path"].endswith("model.pkl"), str(enforce)


def test_auto_model_by_name(scene, models):
    """AutoModel.from_pretrained as protocol 4 writes it, without partial: the default weights_only loader refuses the
    payload itself, so that the base model must be clean for the pickle to work without the guard."""
    from transformers import AutoModel

    scene.path("model.pkl").write_bytes(pickle.dumps(Call(AutoModel.from_pretrained, str(models / "base")), 4))
    script = scene.write("load.py", LOAD)
    without = scene.run_python(script)
    assert without.returncode == 0 and "GPT2Model" in without.stdout, str(without)
    if scene.no_guard:
        pytest.skip("--no-guard")
    enforce = scene.run_python(script, mode="enforce")
    assert enforce.returncode == 1 and "PermissionError" in enforce.stderr, str(enforce)
    assert enforce.asked_by(script)[0]["path"].endswith("model.pkl"), str(enforce)

"""A lock holds which model leads to which, and not only what each of them is: every file in these runs is as it was
locked, but for the adapter whose config names another model. And the ways in which a first lock comes about."""
import json
import os.path
import pickle
import shutil

import pytest

from conftest import function_name
from hub_cache import add_repository, commit_of
from make_models import Call, make_adapter, make_base

PRELUDE = """
    import contextlib, joblib, os, pickle, subprocess, sys, threading
    from pathlib import Path
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.dynamic_module_utils import get_class_from_dynamic_module
    HUB = Path(os.environ["HF_HUB_CACHE"])
    HERE = os.getcwd()

    def adapter(name):
        return AutoPeftModelForCausalLM.from_pretrained(name)

    def base(name):
        return AutoModelForCausalLM.from_pretrained(name)

    def code(backbone):
        os.environ["BACKBONE"] = backbone
        get_class_from_dynamic_module("modeling_own.Own", "org/coded")()

    @contextlib.contextmanager
    def edited(name, how):
        path = next((HUB / f"models--org--{name}" / "snapshots").glob("*/adapter_config.json"))
        blob, kept = os.path.realpath(path), HERE + "/kept"
        subprocess.run(["cp", blob, kept], check=True)
        try:
            subprocess.run(["sed", "-i", how, blob], check=True)
            yield
        finally:
            subprocess.run(["cp", kept, blob], check=True)

    def unpickle(folder):
        os.chdir(f"{HERE}/{folder}")
        try:
            with open(f"{HERE}/outer/outer.pkl", "rb") as file:
                pickle.load(file)
        finally:
            os.chdir(HERE)
"""

ORDINARY = {
    "adapter": "adapter('org/adapter')",
    "pinned adapter": "adapter('org/second')",
    "another base": "base('org/else')",
    "local": "base('spare/org/base')",
    "own code": "code('org/base')",
    "third base": "base('org/more')",
    "pickle": "unpickle('one')",
    "second part": "joblib.load('two/part/model.joblib')",
}

# name: (file, what is led to, body)
NEW_EDGES = {
    "an adapter names another model": ("adapter_config.json", "hf:org/else", """
        with edited("adapter", "s,org/base,org/else,"):
            adapter("org/adapter")
    """),
    "a folder in front of the hub": ("adapter_config.json", "base", """
        os.chdir(HERE + "/spare")  # where org/base is a folder, which goes before the hub's
        try:
            adapter("org/adapter")
        finally:
            os.chdir(HERE)
    """),
    "code loads another model": ("config.json", "hf:org/more", "code('org/more')"),
    "a pickle loads another model": ("model.joblib", "two/part", "unpickle('two')"),
}


LOST_PIN = {"a pin is gone": """
    with edited("second", "s,%s,main,"):
        adapter("org/second")
""" % commit_of("org/base")}


def make_models(scene):
    import joblib
    import numpy as np

    made, hub = scene.path("made"), scene.path("hub")
    base = make_base(made / "base")
    for name in "adapter", "second":
        make_adapter(made / name, base)
        config = json.loads((made / name / "adapter_config.json").read_text())
        config |= {"base_model_name_or_path": "org/base", "revision": commit_of("org/base") if name == "second"
                   else None}
        (made / name / "adapter_config.json").write_text(json.dumps(config))
    (made / "coded").mkdir()
    (made / "coded" / "modeling_own.py").write_text(
        "import os\nfrom transformers import AutoConfig\n\nclass Own:\n    def __init__(self):\n"
        "        AutoConfig.from_pretrained(os.environ['BACKBONE'])\n")
    for name in "base", "adapter", "second", "coded":
        add_repository(hub, f"org/{name}", made / name)
    for name in "else", "more":
        add_repository(hub, f"org/{name}", base)
    shutil.copytree(base, scene.path("spare") / "org" / "base")
    for number, name in enumerate(("one", "two")):
        (scene.path(name) / "part").mkdir(parents=True)
        joblib.dump({"weights": np.full(3, number)}, scene.path(name) / "part" / "model.joblib")
    scene.path("outer").mkdir()
    (scene.path("outer") / "outer.pkl").write_bytes(
        pickle.dumps(Call(joblib.load, Call(os.path.join, "part", "model.joblib"))))
    return {"HF_HUB_CACHE": str(hub)}


class Edges:
    def __init__(self, scene):
        self.scene = scene
        self.env = make_models(scene)
        self.lock = scene.path("models.lock")
        self.policy = None
        self.ordinary = scene.cases("ordinary.py", PRELUDE, ORDINARY)
        self.new = scene.cases("new.py", PRELUDE, {name: body for name, (_, _, body) in NEW_EDGES.items()} | LOST_PIN)
        self.plain = self.run(self.ordinary)
        assert set(self.plain.outcomes.values()) == {"loaded"}, str(self.plain)
        if scene.no_guard:
            return
        policy = scene.path("policy.json")
        scene.add_rule(policy, "code", "python", "--model", "hf:org/coded")
        for name in "joblib.load", "joblib.numpy_pickle.load", "posixpath.join":
            self.policy = scene.add_rule(policy, "call", name)
        self.audited = self.run(self.ordinary, "audit")
        made = scene.guard("lock", *self.newest_log(), "-o", self.lock)
        assert made.returncode == 0, str(made)

    def run(self, script, mode="", lock=None, arguments=()):
        env = {**self.env, "GUARD_LOCK": str(lock)} if lock else self.env
        return self.scene.run_python(script, *arguments, mode=mode, policy=self.policy, env=env)

    def newest_log(self):
        return sorted(max((self.scene.folder / "logs").iterdir(), key=lambda path: int(path.name)).iterdir())


@pytest.fixture(scope="module")
def edges(make_scene):
    return Edges(make_scene("lock_edges"))


@pytest.fixture(scope="module")
def led(edges):
    modes = [""] if edges.scene.no_guard else ["", "enforce", "audit"]
    return {mode: edges.run(edges.new, mode, lock=mode and edges.lock) for mode in modes}


def needs_guard(edges):
    if edges.scene.no_guard:
        pytest.skip("--no-guard: it loads without it")


def test_an_unchanged_run_passes(edges):
    needs_guard(edges)
    run = edges.run(edges.ordinary, "enforce", lock=edges.lock)
    assert not run.denials and run.outcomes == edges.plain.outcomes, str(run)
    assert "drift" not in {record["event"] for record in run.records}
    updated = edges.scene.guard("lock", *edges.newest_log(), "--update", edges.lock)
    assert updated.stdout.startswith("nothing changed\n"), str(updated)


@pytest.mark.parametrize("name", NEW_EDGES)
def test_a_new_edge_is_denied(edges, led, name):
    assert led[""].outcomes.get(name) == "loaded", f"does not load without the guard\n{led['']}"
    needs_guard(edges)
    file, target, _ = NEW_EDGES[name]
    for mode in ["audit"] if name == "an adapter names another model" else ["enforce", "audit"]:
        run = led[mode]
        drifts = [record for record in run.records if record["event"] == "drift" and record["rule"] == "lock-new-edge"
                  and
                  function_name(name) in [frame["function"] for frame in record["by"]["python"]]]
        assert drifts, f"{name}: no new edge in {mode}\n{run}"
        assert drifts[0]["path"].endswith("/" + file) and drifts[0]["target"].endswith(target), drifts[0]
        assert "but not as a dependency of" in drifts[0]["why"], drifts[0]
    assert "Error" in led["enforce"].outcomes[name], str(led["enforce"])
    assert led["audit"].outcomes[name] == "loaded", str(led["audit"])


def test_a_config_that_changed_says_both(edges, led):
    needs_guard(edges)
    for mode, rules in ("enforce", {"lock-changed", "lock-new-edge"}), ("audit", {"lock-changed", "lock-new-edge"}):
        drifts = {record["rule"] for record in led[mode].records if record["event"] == "drift" and
                  function_name("an adapter names another model") in [frame["function"]
                                                                      for frame in record["by"]["python"]]}
        assert drifts == rules, f"{mode}\n{led[mode]}"
    assert any("would deny" in line and "[lock-new-edge]" in line for line in led["audit"].stderr.splitlines())
    assert f"guard: to accept it: guard lock LOG --update {edges.lock}" in led["enforce"].guard_lines


def test_a_lost_pin_is_denied(edges, led):
    """In the lock the adapter names its base with a commit; now it takes what there is."""
    name, = LOST_PIN
    assert led[""].outcomes[name] == "loaded", str(led[""])
    needs_guard(edges)
    for mode in "enforce", "audit":
        drifts = [record for record in led[mode].records if record["event"] == "drift" and
                  function_name(name) in [frame["function"] for frame in record["by"]["python"]]]
        assert {(record["rule"], record["target"]) for record in drifts} == \
            {("lock-changed", None), ("lock-no-commit", "hf:org/base")}, str(led[mode])
    assert "Error" in led["enforce"].outcomes[name] and led["audit"].outcomes[name] == "loaded"


def test_who_asks_first_is_no_drift(edges):
    """Locked in one order, run in others, and on threads: the parent of the base's files is another one each time."""
    script = edges.scene.write("order.py", PRELUDE + """
    from huggingface_hub import hf_hub_download
    from peft import PeftConfig
    from safetensors.torch import load_file
    from transformers import AutoConfig

    def load(name):  # as from_pretrained() does, which is not made for threads
        if name != "org/base":
            load_file(hf_hub_download(name, "adapter_model.safetensors"))
            name = PeftConfig.from_pretrained(name).base_model_name_or_path
        AutoConfig.from_pretrained(name)
        AutoTokenizer.from_pretrained(name)
        load_file(hf_hub_download(name, "model.safetensors"))

    names = ["org/adapter", "org/second", "org/base"]
    if sys.argv[1] == "threads":
        threads = [threading.Thread(target=load, args=[name]) for name in names]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    else:
        for number in sys.argv[1]:
            load(names[int(number)])
    print("done")
    """)
    plain = edges.run(script, arguments=["012"])
    assert plain.stdout == "done\n", str(plain)
    needs_guard(edges)
    edges.run(script, "audit", arguments=["012"])
    lock = edges.scene.path("order.lock")
    assert edges.scene.guard("lock", *edges.newest_log(), "-o", lock).returncode == 0
    for order in "210", "120", "threads":
        run = edges.run(script, "enforce", lock=lock, arguments=[order])
        assert run.stdout == "done\n" and not run.denials, f"{order}\n{run}"


def test_a_first_lock_of_a_machine_whose_files_are_away(edges):
    """Under an empty lock an audited run writes the hashes down, and the log alone makes the lock."""
    needs_guard(edges)
    empty, lock, hub = edges.scene.path("empty.lock"), edges.scene.path("first.lock"), edges.scene.path("hub")
    assert edges.scene.guard("lock", "/dev/null", "-o", empty).returncode == 0
    script = edges.scene.cases("hub.py", PRELUDE,
                               {name: ORDINARY[name] for name in ("adapter", "pinned adapter", "another base",
                                                                  "own code")})
    plain, audited = edges.run(script), edges.run(script, "audit", lock=empty)
    assert audited.outcomes == plain.outcomes, str(audited)
    assert {record["rule"] for record in audited.records
            if record["event"] == "drift"} == {"lock-new-model"}, str(audited)
    log = edges.newest_log()
    hub.rename(edges.scene.path("away"))
    copies = edges.scene.home / ".cache" / "huggingface" / "modules"
    copies.rename(edges.scene.path("copies"))
    made = edges.scene.guard("lock", *log, "-o", lock)
    edges.scene.path("away").rename(hub)
    edges.scene.path("copies").rename(copies)
    assert made.returncode == 0 and not made.stderr, str(made)
    run = edges.run(script, "enforce", lock=lock)
    assert run.outcomes == plain.outcomes and not run.denials, str(run)


def test_audit_goes_on_without_a_faulty_lock(edges):
    needs_guard(edges)
    faulty = edges.scene.path("faulty.lock")
    faulty.write_text('{"bomFormat": "CycloneDX", "specVersion": "1.4"}')
    run = edges.run(edges.ordinary, "audit", lock=faulty)
    assert run.outcomes == edges.plain.outcomes, str(run)
    said = [line for line in run.guard_lines if "audit goes on without the lock" in line]
    assert len(said) == 1 and f"{faulty}:1:43: " in said[0], str(run)

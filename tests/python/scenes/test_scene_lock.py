"""A lock holds a run to what it loaded before: made from an audited run over real hub caches, checked at run time.

Each drift is a case of one program, which changes a file as an attacker (or an unpinned download) would, loads, and
puts it back. Without the guard every one of them loads and nobody notices; that is the point of a lock."""
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from conftest import function_name
from hub_cache import add_repository, commit_of
from make_models import make_adapter, make_base

PRELUDE = """
    import contextlib, json, os, shutil, subprocess
    from pathlib import Path
    HUB = Path(os.environ["HF_HUB_CACHE"])
    from huggingface_hub import hf_hub_download
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.dynamic_module_utils import get_class_from_dynamic_module
    from diffusers import DDPMPipeline

    def snapshot(repository):
        folder = HUB / ("models--" + repository.replace("/", "--"))
        return folder / "snapshots" / (folder / "refs" / "main").read_text()

    def copy(old, new):
        subprocess.run(["cp", "--remove-destination", old, new], check=True)

    @contextlib.contextmanager
    def replaced(path, change):
        # In place, as somebody does who can write to the cache; by other programs, because this one may not read it.
        blob, kept = os.path.realpath(path), str(path) + ".kept"
        copy(blob, kept)
        try:
            subprocess.run(["python3", "-c", "import sys; path = sys.argv[1]; data = bytearray(open(path, 'rb').read())\\n"
                            + change + "\\nopen(path, 'wb').write(data)", blob], check=True)
            yield
        finally:
            copy(kept, blob)
            os.unlink(kept)

    @contextlib.contextmanager
    def added(path, text):
        path.write_text(text)
        try:
            yield
        finally:
            path.unlink()

    def adapter():
        AutoPeftModelForCausalLM.from_pretrained("org/adapter")

    FLIP = "data[-1] ^= 1"
"""

ORDINARY = {
    "adapter and base": "adapter()",
    "tokenizer": "AutoTokenizer.from_pretrained('org/base')",
    "sharded": "AutoModelForCausalLM.from_pretrained('org/sharded')",
    "pipeline": "DDPMPipeline.from_pretrained('org/pipeline')",
    "vocabulary": "print(len(open(hf_hub_download('org/base', 'words.txt')).read()))",
}

# name: (rule, file, body)
DRIFTS = {
    "one byte of a dependency": ("lock-changed", "model.safetensors", """
        with replaced(snapshot("org/base") / "model.safetensors", FLIP):
            adapter()
    """),
    "adapter_config edited": ("lock-changed", "adapter_config.json", """
        with replaced(snapshot("org/adapter") / "adapter_config.json", "data = data.replace(b'org/base', b'org/else')"):
            adapter()
    """),
    "new model": ("lock-new-model", "config.json", "AutoModelForCausalLM.from_pretrained('org/else')"),
    "new shard": ("lock-new-file", "model.safetensors", """
        one = snapshot("org/sharded") / "model.safetensors"  # is preferred to an index of shards
        copy(snapshot("org/base") / "model.safetensors", one)
        try:
            AutoModelForCausalLM.from_pretrained("org/sharded")
        finally:
            one.unlink()
    """),
    "shard changed": ("lock-changed", "model-00002-of-00003.safetensors", """
        with replaced(snapshot("org/sharded") / "model-00002-of-00003.safetensors", FLIP):
            AutoModelForCausalLM.from_pretrained("org/sharded")
    """),
    "moved ref": ("lock-moved", "config.json", """
        ref, old = HUB / "models--org--base" / "refs" / "main", snapshot("org/base")
        new = old.parent / ("f" * 40)
        shutil.copytree(old, new, symlinks=True)
        commit = ref.read_text()
        ref.write_text(new.name)
        try:
            adapter()
        finally:
            ref.write_text(commit)
            shutil.rmtree(new)
    """),
    "added code": ("lock-new-file", "modeling_extra.py", """
        with added(snapshot("org/base") / "modeling_extra.py", "class Extra:\\n    pass\\n"):
            get_class_from_dynamic_module("modeling_extra.Extra", "org/base")
    """),
    "part of a pipeline": ("lock-changed", "diffusion_pytorch_model.safetensors", """
        with replaced(snapshot("org/pipeline") / "unet" / "diffusion_pytorch_model.safetensors", FLIP):
            DDPMPipeline.from_pretrained("org/pipeline")
    """),
    "vocabulary": ("lock-changed", "words.txt", """
        with replaced(snapshot("org/base") / "words.txt", FLIP):
            open(hf_hub_download("org/base", "words.txt")).read()
    """),
}


def make_pipeline(folder):
    import torch
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    unet = UNet2DModel(sample_size=8, in_channels=1, out_channels=1, layers_per_block=1, block_out_channels=(8, 8),
                       norm_num_groups=4, down_block_types=("DownBlock2D", "DownBlock2D"),
                       up_block_types=("UpBlock2D", "UpBlock2D"))
    DDPMPipeline(unet, DDPMScheduler(num_train_timesteps=10)).save_pretrained(folder)


class Locked:
    """A hub cache, and the lock that an audited run of the ordinary program over it gives."""

    def __init__(self, scene):
        self.scene = scene
        self.hub = scene.path("hub")
        self.lock = scene.path("models.lock")
        made = scene.path("made")
        base = make_base(made / "base")
        (base / "words.txt").write_text("every\nmodel\n")
        make_adapter(made / "adapter", base)
        config = json.loads((made / "adapter" / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = "org/base"
        (made / "adapter" / "adapter_config.json").write_text(json.dumps(config))
        from transformers import AutoModelForCausalLM
        AutoModelForCausalLM.from_pretrained(base).save_pretrained(made / "sharded", max_shard_size="60KB")
        shards = sorted(path.name for path in (made / "sharded").glob("model-*"))
        assert len(shards) == 3, shards
        make_pipeline(made / "pipeline")
        for name in "base", "adapter", "sharded", "pipeline":
            add_repository(self.hub, f"org/{name}", made / name)
        add_repository(self.hub, "org/else", base)
        self.env = {"HF_HUB_CACHE": str(self.hub)}
        self.ordinary = scene.cases("ordinary.py", PRELUDE, ORDINARY)
        self.drifts = scene.cases("drifts.py", PRELUDE, {name: body for name, (_, _, body) in DRIFTS.items()})

    def run(self, script, mode, lock=True):
        env = {**self.env, "GUARD_LOCK": str(self.lock)} if mode and lock else self.env
        return self.scene.run_python(script, mode=mode, env=env)

    def newest_log(self):
        """Those of the run before."""
        return sorted(max((self.scene.folder / "logs").iterdir(), key=lambda path: int(path.name)).iterdir())

    def hashes(self):
        """What the cache of hashes holds: a file that was hashed again has a new entry, renamed over the old one."""
        folder = self.scene.home / ".cache" / "guard" / "hashes"
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def locked(make_scene):
    scene = make_scene("lock")
    locked = Locked(scene)
    locked.plain = locked.run(locked.ordinary, "")
    assert set(locked.plain.outcomes.values()) == {"loaded"}, str(locked.plain)
    if scene.no_guard:
        return locked
    locked.audited = locked.run(locked.ordinary, "audit", lock=False)
    made = scene.guard("lock", *locked.newest_log(), "-o", locked.lock)
    assert made.returncode == 0 and "4 models" in made.stdout, str(made)
    return locked


@pytest.fixture(scope="module")
def drifted(locked):
    return {mode: locked.run(locked.drifts, mode)
            for mode in ([""] if locked.scene.no_guard else ["", "enforce", "audit"])}


def needs_guard(locked):
    if locked.scene.no_guard:
        pytest.skip("--no-guard: it loads without it")


def test_an_unchanged_run_passes_and_hashes_nothing_twice(locked):
    needs_guard(locked)
    before = locked.hashes()  # `guard lock` hashed every file, and the library finds that
    files = [file for component in json.loads(locked.lock.read_text())["components"]
             for file in component["components"]]
    assert 0 < len(before) <= len(files)
    run = locked.run(locked.ordinary, "enforce")
    assert not run.denials and not run.guard_lines, str(run)
    assert run.outcomes == locked.plain.outcomes, str(run)
    assert locked.hashes() == before, "a file was hashed again"
    loaded = {(record["model"]["id"], record["model"]["inside"]): record["sha256"] for record in run.records
              if record["event"] == "load"}
    assert loaded and all(loaded.values()), "a locked file without its hash in the record"
    again = locked.scene.guard("lock", *locked.newest_log(), "-o", locked.scene.path("again.lock"))
    assert again.returncode == 0, str(again)
    assert locked.scene.path("again.lock").read_bytes() == locked.lock.read_bytes()


def test_what_the_cache_of_hashes_lacks_is_hashed_once(locked):
    needs_guard(locked)
    before = locked.hashes()
    folder = locked.scene.home / ".cache" / "guard" / "hashes"
    for path in folder.iterdir():
        path.unlink()
    run = locked.run(locked.ordinary, "enforce")
    assert run.outcomes == locked.plain.outcomes, str(run)
    assert locked.hashes().keys() == before.keys()


@pytest.mark.parametrize("name", DRIFTS)
def test_drift_is_denied(locked, drifted, name):
    assert drifted[""].outcomes.get(name) == "loaded", f"does not load without the guard\n{drifted['']}"
    needs_guard(locked)
    rule, file, _ = DRIFTS[name]
    function = function_name(name)
    for mode in "enforce", "audit":
        run = drifted[mode]
        drifts = [record for record in run.records if record["event"] == "drift" and Path(record["path"]).name == file
                  and function in [frame["function"] for frame in record["by"]["python"]]]
        assert drifts, f"{name}: no drift record of {file} in {mode}\n{run}"
        assert {record["rule"] for record in drifts} == {rule}, str(run)
        if rule == "lock-changed":
            assert all(len(record["sha256"]) == 64 and len(record["locked"]["sha256"]) == 64 and
                       record["sha256"] != record["locked"]["sha256"] for record in drifts)
        if rule == "lock-moved":
            assert all(record["locked"]["revision"] == commit_of("org/base") for record in drifts)
        says = "denied" if mode == "enforce" else "would deny"
        assert any(f"guard: {says} " in line and file in line and rule in line  # perhaps behind a progress bar
                   for line in run.stderr.splitlines()), str(run)
    # transformers and diffusers put errors of their own around it
    assert drifted["enforce"].outcomes[name] != "loaded", str(drifted["enforce"])
    assert "Error" in drifted["enforce"].outcomes[name]
    assert drifted["audit"].outcomes[name] == "loaded", str(drifted["audit"])


def test_the_second_line_renews_the_lock(locked, drifted):
    needs_guard(locked)
    assert any(f"guard: to accept it: guard lock LOG --update {locked.lock}" == line
               for line in drifted["enforce"].guard_lines), str(drifted["enforce"])


def test_the_lock_is_a_bom(locked):
    needs_guard(locked)
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import ComponentType
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = locked.lock.read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = Bom.from_json(json.loads(text))
    models = {str(component.bom_ref): component for component in bom.components}
    assert {component.type for component in models.values()} == {ComponentType.MACHINE_LEARNING_MODEL}
    assert {(component.group, component.name, component.version) for component in models.values()} == \
        {("org", name, commit_of(f"org/{name}")) for name in ("base", "adapter", "sharded", "pipeline")}
    base = models[f"hf:org/base@{commit_of('org/base')}"]
    files = {file.name: next(iter(file.hashes)).content for file in base.components}
    on_disk = locked.hub / "models--org--base" / "snapshots" / base.version
    assert files["model.safetensors"] == hashlib.sha256((on_disk / "model.safetensors").read_bytes()).hexdigest()
    # The hash of a model: that of the lines of `sha256sum FILE...`
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    assert next(iter(base.hashes)).content == hashlib.sha256(lines.encode()).hexdigest()
    needs = {str(dependency.ref): {str(on.ref) for on in dependency.dependencies} for dependency in bom.dependencies}
    assert needs[f"hf:org/adapter@{commit_of('org/adapter')}"] == {str(base.bom_ref)}
    assert needs["application"] == {f"hf:org/{name}@{commit_of(f'org/{name}')}"
                                    for name in ("adapter", "sharded", "pipeline")}


def test_a_models_code_runs_as_it_was_locked(scene):
    """The policy allows the model's Python whatever it says; the lock holds it to what it said."""
    code = scene.write("own/modeling_own.py", "class Own:\n    pass\n")
    snapshot = add_repository(scene.path("hub"), "org/own", code.parent)
    program = scene.write("own.py", """
        from transformers.dynamic_module_utils import get_class_from_dynamic_module
        print(get_class_from_dynamic_module("modeling_own.Own", "org/own").__name__)
    """)
    env, lock = {"HF_HUB_CACHE": str(scene.path("hub"))}, scene.path("models.lock")
    assert scene.run_python(program, env=env).stdout == "Own\n"
    if scene.no_guard:
        pytest.skip("--no-guard: it runs without it")
    policy = scene.add_rule(scene.path("policy.json"), "code", "python", "--model", "hf:org/own")
    first = scene.run_python(program, mode="enforce", policy=policy, env=env)
    ran = [record for record in first.records if record["event"] == "code"]
    assert [(record["decision"], record["sha256"]) for record in ran] == \
        [("allow", hashlib.sha256(code.read_bytes()).hexdigest())], str(first)
    made = scene.guard("lock", *sorted(scene.path("logs").rglob("*.jsonl")), "-o", lock)
    assert made.returncode == 0 and "1 model, 1 file" in made.stdout, str(made)
    env["GUARD_LOCK"] = str(lock)
    again = scene.run_python(program, mode="enforce", policy=policy, env=env)
    assert again.stdout == "Own\n" and not again.denials, str(again)
    (snapshot / "modeling_own.py").write_text(f"open({str(scene.marker())!r}, 'w')\nclass Own:\n    pass\n")
    scene.clear_markers()
    copies = scene.home / ".cache" / "huggingface" / "modules"  # transformers prefers an old copy
    shutil.rmtree(copies)
    changed = scene.run_python(program, mode="enforce", policy=policy, env=env)
    assert "lock-changed" in {record["rule"]
                              for record in changed.denials} and not scene.marker().exists(), str(changed)
    del env["GUARD_LOCK"]
    shutil.rmtree(copies, ignore_errors=True)
    assert scene.run_python(program, mode="enforce", policy=policy,
                            env=env).stdout == "Own\n" and scene.marker().exists()


LOCAL = """
    import joblib, os, sys
    import numpy as np
    from safetensors.numpy import load_file, save_file
    FOLDER = os.environ["MODELS"]
    def adapters():
        return [load_file(f"{FOLDER}/{name}/adapter/adapter_model.safetensors") for name in ("a", "b")]
"""
LOCAL_CASES = {
    "classifier": "joblib.load(f'{FOLDER}/classifier/model.joblib')",
    "adapters": "adapters()",
    "own data": """
        np.save("features.npy", np.arange(len(os.listdir("."))))  # another one in each run
        np.load("features.npy")
        joblib.dump({"seen": os.getpid()}, "/dev/shm/guard-lock-state.pkl")
        joblib.load("/dev/shm/guard-lock-state.pkl")
        os.unlink("/dev/shm/guard-lock-state.pkl")
    """,
}


def test_a_lock_made_in_one_place_holds_in_another(scene):
    import joblib
    import numpy as np
    from safetensors.numpy import save_file
    from sklearn.linear_model import LogisticRegression

    models = scene.path("ci") / "models"
    (models / "classifier").mkdir(parents=True)
    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), models / "classifier" / "model.joblib")
    for number, name in enumerate("ab"):
        (models / name / "adapter").mkdir(parents=True)
        save_file({"w": np.full(3, number, dtype=np.float32)}, models / name / "adapter" / "adapter_model.safetensors")
    program = scene.cases("local.py", LOCAL, LOCAL_CASES)
    plain = scene.run_python(program, env={"MODELS": str(models)})
    assert set(plain.outcomes.values()) == {"loaded"}, str(plain)
    if scene.no_guard:
        pytest.skip("--no-guard: it loads without it")
    scene.run_python(program, mode="audit", env={"MODELS": str(models)})
    lock = scene.path("models.lock")
    made = scene.guard("lock", *sorted(scene.path("logs").rglob("*.jsonl")), "-o", lock)
    assert made.returncode == 0, str(made)
    keys = {component["bom-ref"] for component in json.loads(lock.read_text())["components"]}
    assert keys == {"file:classifier", "file:a/adapter", "file:b/adapter"}, "the shortest names that tell them apart"

    there = scene.path("srv") / "somewhere" / "else"
    there.parent.mkdir(parents=True)
    shutil.copytree(models, there)
    shutil.rmtree(models)
    env = {"MODELS": str(there), "GUARD_LOCK": str(lock)}
    run = scene.run_python(program, mode="enforce", env=env)
    assert not run.denials and run.outcomes == plain.outcomes, str(run)

    # The adapters change places: each is in the lock, and neither is where it was.
    (there / "a").rename(there / "c")
    (there / "b").rename(there / "a")
    (there / "c").rename(there / "b")
    run = scene.run_python(program, mode="enforce", env=env)
    assert "Error" in run.outcomes["adapters"] and run.outcomes["classifier"] == "loaded", str(run)
    assert {record["rule"] for record in run.denials} == {"lock-changed"}, str(run)


def test_globs_leave_a_runs_own_checkpoints_out(scene):
    import numpy as np
    from safetensors.numpy import save_file

    scene.path("models").mkdir()
    save_file({"w": np.zeros(3, dtype=np.float32)}, scene.path("models") / "model.safetensors")
    program = scene.write("train.py", """
        import os, torch
        from safetensors.torch import load_file
        state = load_file("models/model.safetensors")
        os.makedirs("checkpoints", exist_ok=True)
        torch.save({"step": os.getpid(), **state}, "checkpoints/last.pt")
        print(sorted(torch.load("checkpoints/last.pt", weights_only=False))[0])
    """)
    if scene.no_guard:
        pytest.skip("--no-guard")
    scene.run_python(program, mode="audit")
    logs, lock = sorted(scene.path("logs").rglob("*.jsonl")), scene.path("models.lock")
    for globs, denied in ([], {"lock-changed"}), (["--models", "hf:**", "file:**/models"], set()):
        made = scene.guard("lock", *logs, "-o", lock, *globs)
        assert made.returncode == 0, str(made)
        run = scene.run_python(program, mode="enforce", env={"GUARD_LOCK": str(lock)})
        assert {record["rule"] for record in run.denials} == denied, str(run)
        assert run.returncode == (1 if denied else 0), str(run)

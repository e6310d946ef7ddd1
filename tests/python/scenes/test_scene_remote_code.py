"""auto_map: naming code is ordinary, executing the model's Python is the deed."""
import hashlib
import json
import os
import shutil

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"

MODELING = """\
import pathlib
from transformers import GPT2LMHeadModel

pathlib.Path({marker!r}).touch()


class TinyForCausalLM(GPT2LMHeadModel):
    pass
"""

LOAD = """
    import sys
    from transformers import AutoModelForCausalLM, logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()

    def load():
        return AutoModelForCausalLM.from_pretrained(sys.argv[1], trust_remote_code=sys.argv[2:] == ["trust"] or None)

    print(type(load()).__name__, flush=True)
"""


@pytest.fixture
def remote(scene, models):
    """A folder with a model whose config names modeling_tiny.py, which touches the marker when it is executed."""
    folder = scene.path("remote")
    shutil.copytree(models / "base", folder)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_tiny.TinyForCausalLM"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "modeling_tiny.py").write_text(MODELING.format(marker=str(scene.marker())))
    return folder


def into_hub_cache(scene, folder):
    """The layout that huggingface_hub leaves behind after a download of org/tiny."""
    cache = scene.home / ".cache/huggingface/hub/models--org--tiny"
    snapshot = cache / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    (cache / "refs").mkdir()
    (cache / "refs/main").write_text(COMMIT)
    for file in folder.iterdir():
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copyfile(file, cache / "blobs" / digest)
        (snapshot / file.name).symlink_to(f"../../blobs/{digest}")
    return snapshot


def test_named_but_not_executed(scene, remote):
    """The model loads where its own library has the class; a record and a warning say what the config names."""
    script = scene.write("load.py", LOAD)
    without, enforce = scene.benign(script, remote)
    assert without.stdout == "GPT2LMHeadModel\n"
    assert any(record["path"].endswith("config.json") and "modeling_tiny" in str(record)
               for record in enforce.warnings), f"no warning about auto_map\n{enforce}"


def test_executed_from_folder(scene, remote):
    """The run without the guard leaves bytecode behind, so that the guarded import never opens the .py."""
    script = scene.write("load.py", LOAD)
    without, enforce, _ = scene.attack(script, remote, "trust")
    assert without.stdout == "TinyForCausalLM\n"
    assert any(record["effect"] == "code" for record in enforce.asked_by(script, "load")), str(enforce)


def test_executed_from_hub(scene, remote):
    """Denied by default; allowed by a policy that names hub id and hash; denied again when the code has changed."""
    snapshot = into_hub_cache(scene, remote)
    script = scene.write("load.py", LOAD)
    _, enforce, _ = scene.attack(script, "org/tiny", "trust", env={"PYTHONDONTWRITEBYTECODE": "1"})
    denial = next(record for record in enforce.asked_by(script, "load") if record["effect"] == "code")
    assert denial["model"] == {"id": "hf:org/tiny", "revision": COMMIT, "inside": "modeling_tiny.py"}, str(enforce)

    code = snapshot / "modeling_tiny.py"
    digest = hashlib.sha256(code.read_bytes()).hexdigest()
    policy = scene.add_rule(scene.path("policy.json"), "code", denial["name"],
                            "--model", f"hf:org/tiny@{COMMIT}", "--sha256", digest)
    scene.clear_markers()
    allowed = scene.run_python(script, "org/tiny", "trust", mode="enforce", policy=policy)
    assert (allowed.returncode, allowed.stdout) == (0, "TinyForCausalLM\n"), f"{policy.read_text()}\n{allowed}"
    assert scene.marker().exists()

    changed = code.read_text() + "\n# one more line\n"
    code.unlink()
    code.write_text(changed)
    shutil.rmtree(scene.home / ".cache/huggingface/modules")  # transformers copies a commit's code once
    scene.clear_markers()
    denied = scene.run_python(script, "org/tiny", "trust", mode="enforce", policy=policy)
    assert denied.returncode == 1 and "PermissionError" in denied.stderr, str(denied)
    assert not scene.marker().exists(), str(denied)


def test_own_modules_beside_models(scene, models):
    """The application's own Python in a folder that also holds weights is no model code."""
    shutil.copytree(models / "base", scene.path("app/base"))
    os.symlink(scene.path("app/base/model.safetensors"), scene.path("app/model.safetensors"))
    scene.write("app/helpers.py", """
        NAME = "base"
    """)
    script = scene.write("app/main.py", """
        import os
        import helpers
        from transformers import AutoModelForCausalLM, logging
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), helpers.NAME)
        print(type(AutoModelForCausalLM.from_pretrained(folder)).__name__)
    """)
    scene.benign(script)

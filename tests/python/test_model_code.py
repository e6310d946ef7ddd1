"""Python that came with a model: what a rule approves by its SHA-256 is what runs, whatever lies beside it."""
import hashlib
import py_compile
import sys

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOAD = """
    import importlib.util, sys
    spec = importlib.util.spec_from_file_location("modeling", sys.argv[1])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    print(module.SAID)
"""


@pytest.fixture
def code(scene):
    """A file where transformers keeps the code of org/tiny, and a script that executes it."""
    script = scene.write("load.py", LOAD)
    path = scene.write(f"transformers_modules/org/tiny/{COMMIT}/modeling.py", "SAID = 'approved'\n")
    return script, path


def approve(scene, path):
    return scene.add_rule(scene.path("policy.json"), "code", "python", "--model", f"hf:org/tiny@{COMMIT}", "--sha256",
                          hashlib.sha256(path.read_bytes()).hexdigest())


def test_denied_unless_approved(scene, code):
    script, path = code
    denied = scene.run_python(script, path, mode="enforce")
    assert denied.returncode == 1 and "PermissionError: guard: denied" in denied.stderr, str(denied)
    record = next(record for record in denied.denials if record["effect"] == "code")
    assert record["model"] == {"id": "hf:org/tiny", "revision": COMMIT, "inside": "modeling.py"}
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert any(f"--sha256 {record['sha256']}" in line for line in denied.guard_lines), str(denied)

    allowed = scene.run_python(script, path, mode="enforce", policy=approve(scene, path))
    assert (allowed.returncode, allowed.stdout) == (0, "approved\n"), str(allowed)
    path.write_text("SAID = 'changed'\n")
    changed = scene.run_python(script, path, mode="enforce", policy=scene.path("policy.json"))
    assert changed.returncode == 1 and not changed.stdout, str(changed)


def test_bytecode_beside_approved_source(scene, code):
    """importlib takes an unchecked .pyc without a look at the source."""
    script, path = code
    policy = approve(scene, path)
    other = scene.write("other.py", "SAID = 'something else'\n")
    cached = path.parent / "__pycache__"
    cached.mkdir(exist_ok=True)
    py_compile.compile(str(other), cfile=str(cached / f"modeling.{sys.implementation.cache_tag}.pyc"), dfile=str(path),
                       doraise=True,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert scene.run_python(script, path).stdout == "something else\n", "the .pyc is what Python runs"
    denied = scene.run_python(script, path, mode="enforce", policy=policy)
    assert denied.returncode == 1 and not denied.stdout, str(denied)
    assert any(record["rule"] == "model-code-stale" for record in denied.denials), str(denied)


def test_other_spellings_of_the_path(scene, code):
    """Loaded by a path with `..` in it, the code is still the model's; importlib keeps the spelling."""
    script, path = code
    run = scene.run_python(script, path.parent / ".." / COMMIT / path.name, mode="enforce")
    assert run.returncode == 1 and not run.stdout, str(run)
    assert any(record["model"] == {"id": "hf:org/tiny", "revision": COMMIT, "inside": "modeling.py"}
               for record in run.denials), str(run)
    program = scene.write("plain.py", """
        import os, sys
        os.chdir(sys.argv[1])
        exec(compile(open("modeling.py").read(), "modeling.py", "exec"))
        print(SAID)
    """)
    run = scene.run_python(program, path.parent, mode="enforce")
    assert run.returncode == 1 and not run.stdout, str(run)


def test_own_code_of_the_application_runs(scene):
    script = scene.write("load.py", LOAD)
    path = scene.write("app/own.py", "SAID = 'mine'\n")
    scene.benign(script, path)

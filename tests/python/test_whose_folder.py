"""Whose Python is it: the main script and what it imports is the application, beside weights too; what a library that
loads models imports from there, and what an unpickler imports, came with the model. What code says of its own file
counts for nothing."""
import os
import subprocess

from test_live_unpickler import python, scene  # noqa: F401 (fixtures)

MARK = "import os; os.mkdir('markers/{}')\nSAID = '{}'\nclass Thing: pass\n"


def repository(scene):
    """A model's folder: weights, and Python beside them."""
    scene.write("repo/pytorch_model.bin", "")
    for name in "helper", "layers", "late":
        (scene.path("repo") / f"{name}.py").write_text(MARK.format(name, name))


def said_without_and_with(scene, command, **options):
    without = scene.run(command, **options)
    assert without.returncode == 0, str(without)
    scene.clear_markers()
    return without.stdout, scene.run(command, mode="enforce", **options)


def test_the_application_beside_weights(scene):  # noqa: F811
    """cd repo; python infer.py, python -m infer, python -c, and a server that is told "module:name"."""
    repository(scene)
    (scene.path("repo") / "infer.py").write_text("import helper, pickle\n"
                                                 "print(type(pickle.loads(pickle.dumps(helper.Thing()))).__name__)\n")
    scene.path("lib/site-packages").mkdir(parents=True)
    scene.write("lib/site-packages/server.py", """
        import importlib, sys
        sys.path.insert(0, "")
        print(importlib.import_module(sys.argv[1]).SAID)
    """)
    os.symlink(scene.path("markers"), scene.path("repo/markers"))
    shell = 'cd repo && exec "$0" "$@"'
    for command in (["infer.py"], ["-m", "infer"], ["-c", "import helper; print(helper.SAID)"],
                    [scene.path("lib/site-packages/server.py"), "helper"]):
        scene.clear_markers()
        expected, run = said_without_and_with(scene, ["sh", "-c", shell, scene.python, *command])
        assert (run.returncode, run.stdout, run.denials) == (0, expected, []), str(run)


LOADER = """
    import importlib, os, sys
    def load(folder, name):
        sys.path.insert(0, folder)
        return importlib.import_module(name).SAID
    def load_beside(folder, name):
        path = os.path.join(folder, name + ".py")
        specification = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module.SAID
"""


def test_what_a_loading_library_imports_from_there(scene):  # noqa: F811
    """Below the application's own folder, and the very folder where it lies."""
    repository(scene)
    scene.path("lib/site-packages").mkdir(parents=True)
    scene.write("lib/site-packages/transformers.py", LOADER)
    for folder, function, name in (("repo", "load", "layers"), ("repo", "load_beside", "layers"),
                                   (".", "load", "late")):
        scene.clear_markers()
        scene.write("late.py", MARK.format("late", "late"))
        scene.write("model.safetensors", "")
        script = scene.write("infer.py", f"""
            import sys, os
            sys.path.insert(1, os.path.abspath("lib/site-packages"))
            import importlib.util, transformers
            print(transformers.{function}(os.path.abspath({folder!r}), {name!r}))
        """)
        expected, run = said_without_and_with(scene, [scene.python, script])
        assert expected == f"{name}\n"
        assert run.returncode == 1 and "PermissionError: guard: denied" in run.stderr, str(run)
        assert {record["rule"] for record in run.denials} == {"model-code"}, str(run)
        assert os.listdir(scene.path("markers")) == [], str(run)


def test_what_an_unpickler_imports_first(scene):  # noqa: F811
    repository(scene)
    script = scene.path("repo") / "infer.py"
    script.write_text("import pickle, sys\n"
                      "if 'before' in sys.argv: import layers\n"
                      "try: print(type(pickle.loads(b'clayers\\nThing\\n)R.')).__name__)\n"
                      "except PermissionError as error: print(str(error)[:14])\n")
    expected, first = said_without_and_with(scene, [scene.python, script])
    assert expected == "Thing\n" and first.stdout == "guard: denied \n", str(first)
    assert os.listdir(scene.path("markers")) == [], str(first)
    expected, before = said_without_and_with(scene, [scene.python, script, "before"])
    assert before.stdout == expected == "Thing\n" and not before.denials, str(before)


def test_bytecode_that_claims_another_file(scene):  # noqa: F811
    """A .pyc without a source beside it says of itself that it is the standard library's."""
    repository(scene)
    source = scene.write("source.py", MARK.format("spoofed", "spoofed"))
    claimed = subprocess.run([scene.python, "-c", "import os; print(os.__file__)"], capture_output=True,
                             text=True).stdout.strip()
    subprocess.run([scene.python, "-c", "import py_compile, sys; py_compile.compile(*sys.argv[1:], doraise=True)",
                    source,
                    scene.path("repo/evil.pyc"), claimed], check=True)
    scene.path("lib/site-packages").mkdir(parents=True)
    scene.write("lib/site-packages/transformers.py", LOADER)
    script = scene.write("infer.py", """
        import sys, os
        sys.path.insert(1, os.path.abspath("lib/site-packages"))
        import transformers
        print(transformers.load(os.path.abspath("repo"), "evil"))
    """)
    expected, run = said_without_and_with(scene, [scene.python, script])
    assert expected == "spoofed\n"
    assert run.returncode == 1 and os.listdir(scene.path("markers")) == [], str(run)
    assert run.denials[0]["path"].endswith("repo/evil.pyc"), str(run)

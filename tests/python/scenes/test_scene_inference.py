"""What loads cleanly and acts when it is used: each way with its real library, denied and attributed at the call.

The policy of these scenes lets everything be read, so that only what happens live is judged; where the default policy
stops the file already when it is opened, that is another test's. The payload of each case touches the marker of its own
function."""
import json
import shutil
import subprocess
import textwrap
import zipfile
from pathlib import Path

import cosmo_ent
import gguf
import numpy
import pytest

from conftest import AttackCases, BenignCases, function_name
from inference_cases import READS_ALL, check, make, marker, run_cases

SOURCES = Path(__file__).resolve().parents[1] / "native"
COMMIT = "0123456789012345678901234567890123456789"


# --- TorchScript: no Python takes part, and no audit event tells ---------------------------------------------------

SCRIPTS = """
    import os, sys, torch
    os.makedirs("scripts", exist_ok=True)

    class Writes(torch.nn.Module):
        def forward(self, x):
            return x + torch.from_file("{maps to write}", True, 4)

    class Saves(torch.nn.Module):
        def forward(self, x):
            torch.save(x, "{saves}")
            return x

    class Computes(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.name: str = "none"
        @torch.jit.export
        def named(self, name: str):
            self.name = name
        def forward(self, x):
            torch.save(x, self.name)
            return x

    class Forks(torch.nn.Module):
        def forward(self, x):
            return torch.jit.wait(torch.jit.fork(save, x))

    def save(x):
        torch.save(x, "{saves in another task}")
        return x

    class Reads(torch.nn.Module):
        def forward(self, x):
            return x + torch.from_file("secret", False, 4)

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4))
        def forward(self, x):
            for _ in range(3):
                x = self.layers(x)
            return x

    for module in Writes, Saves, Computes, Forks, Reads, Plain:
        torch.jit.script(module()).save(f"scripts/{module.__name__}.pt")
"""
SCRIPT_ATTACKS = {
    "maps to write": "load('Writes')(torch.ones(4))",
    "saves": "load('Saves')(torch.ones(4))",
    "saves in another task": "load('Forks')(torch.ones(4))",
    "saves where it is told": "m = load('Computes'); m.named(MARKER); m(torch.ones(4))",
    "saves, from bytes in memory": """
        import io
        m = torch.jit.load(io.BytesIO(open("scripts/Computes.pt", "rb").read())); m.named(MARKER); m(torch.ones(4))""",
    "reads": "load('Reads')(torch.ones(4)); open(MARKER, 'w').close()",
}
SCRIPT_PRELUDE = """
    import os, torch
    os.makedirs("markers", exist_ok=True)
    def load(name):
        module = torch.jit.load(f"scripts/{name}.pt")
        print("loaded", name, flush=True)
        return module
"""


@pytest.fixture(scope="module")
def script_scene(make_scene):
    scene = make_scene("torchscript")
    text = SCRIPTS
    for name in SCRIPT_ATTACKS:
        text = text.replace("{" + name + "}", marker(name))
    make(scene, "make.py", text)
    scene.path("secret").write_bytes(bytes(64))
    return scene


@pytest.fixture(scope="module")
def script_attacks(script_scene):
    cases = {name: textwrap.dedent(body).replace("MARKER", repr(marker(name))) for name, body in SCRIPT_ATTACKS.items()}
    return run_cases(AttackCases, script_scene, SCRIPT_PRELUDE, cases)


@pytest.mark.parametrize("name", SCRIPT_ATTACKS)
def test_torchscript(script_attacks, name):
    check(script_attacks, name, "torchscript", "read-in-forward" if name == "reads" else "write-in-load",
          silent="saves" in name, native=True)  # torch writes to a stream and never asks whether it is open
    if not script_attacks.scene.no_guard:
        assert script_attacks.enforce.stdout.count("loaded ") == script_attacks.without.stdout.count("loaded ")


def test_torchscript_by_name(script_scene):
    """What the only TorchScript file of a process does is laid at its door; of several nobody knows."""
    if script_scene.no_guard:
        pytest.skip("--no-guard")
    script_scene.path("policy.json").write_text(json.dumps(READS_ALL))
    script = script_scene.write("app/one.py", textwrap.dedent(SCRIPT_PRELUDE) + textwrap.dedent("""
        def attempt(name):
            try: load(name)(torch.ones(4))
            except RuntimeError as error: print(name, "denied")
        attempt("Reads"); attempt("Writes")
        """))
    run = script_scene.run_python(script, mode="enforce", policy=script_scene.path("policy.json"))
    named = {(record["rule"], record["path"] and Path(record["path"]).name) for record in run.denials}
    assert named == {("read-in-forward", "Reads.pt"), ("write-in-load", None)}, str(run)
    assert run.denials[0]["model"]["id"] == f"file:{script_scene.path('scripts')}", run.denials[0]


SCRIPT_BENIGN = {
    "forward": "m = torch.jit.load('scripts/Plain.pt')\nfor _ in range(5): m(torch.ones(2, 4))",
    "save and load": "torch.jit.save(torch.jit.load('scripts/Plain.pt'), 'again.pt'); "
                     "torch.jit.load('again.pt')(torch.ones(4))",
    "script, trace, freeze, optimize": """
        class Own(torch.nn.Module):
            def __init__(self): super().__init__(); self.inner = torch.nn.Linear(4, 4)
            def forward(self, x): return self.inner(x)
        module = torch.jit.script(Own()).eval()
        torch.jit.optimize_for_inference(torch.jit.freeze(module))(torch.ones(4))
        torch.jit.trace(Own(), torch.ones(4)).save('traced.pt')""",
    "state dict by the application": "torch.save(torch.jit.load('scripts/Plain.pt').state_dict(), 'state.pt'); "
                                     "torch.load('state.pt')",
    "Python below a script": """
        class Own(torch.nn.Module):
            @torch.jit.ignore
            def log(self, x: torch.Tensor) -> None:
                torch.save(x, "logged.pt"); open("log.txt", "w").write("x")
            def forward(self, x):
                self.log(x)
                return x
        torch.jit.script(Own())(torch.ones(4))
        assert os.path.exists("log.txt")""",
}


@pytest.fixture(scope="module")
def script_benign(script_scene):
    return run_cases(BenignCases, script_scene, SCRIPT_PRELUDE, SCRIPT_BENIGN)


@pytest.mark.parametrize("name", SCRIPT_BENIGN)
def test_torchscript_benign(script_benign, name):
    script_benign.check(name)


# --- Keras: marshalled code that runs in call() --------------------------------------------------------------------

KERAS = """
    import keras
    for name, layer in {LAYERS}.items():
        inner = keras.layers.Lambda(layer, output_shape=(4,))
        keras.Sequential([keras.Input((4,)), inner, keras.layers.Dense(2)]).save(f"{name}.keras")
"""
LAMBDAS = {
    "lambda starts a program": "lambda x: [__import__('os').system('touch MARKER'), x][1]",
    "lambda writes": "lambda x: [open('MARKER', 'w').close(), x][1]",
    "lambda within a lambda": "lambda x: (lambda: [__import__('pathlib').Path('MARKER').touch(), x])()[1]",
    "lambda starts a thread": """lambda x: [(lambda thread: [thread.start(), thread.join()])(__import__('threading').Thread(
        target=open, args=('MARKER', 'w'))), x][1]""",
}


def layers(lambdas):
    return "{" + ", ".join(f"{function_name(name)!r}: {text}" for name, text in lambdas.items()) + "}"


# keras.Sequential builds the model by calling it: the payload of a file being made must not run.
@pytest.fixture(scope="module")
def keras_attacks(make_scene):
    scene = make_scene("keras")
    lambdas = {name: text.replace("MARKER", marker(name)) for name, text in LAMBDAS.items()}
    scene.path("markers").mkdir()
    make(scene, "make.py", KERAS.replace("{LAYERS}", layers(lambdas)))
    cases = {name: f"predict('{function_name(name)}')" for name in LAMBDAS}
    return run_cases(AttackCases, scene, KERAS_PRELUDE, cases)


KERAS_PRELUDE = """
    import os, keras, numpy
    os.makedirs("markers", exist_ok=True)
    def predict(name):
        model = keras.models.load_model(f"{name}.keras", safe_mode=False, compile=False)
        for made in os.listdir("markers"):
            if made == name: os.remove(f"markers/{made}")
        model.predict(numpy.ones((1, 4)), verbose=0)
"""


@pytest.mark.parametrize("name", LAMBDAS)
def test_keras_lambda(keras_attacks, name):
    check(keras_attacks, name, "lambda", "exec-in-load" if "program" in name else "write-in-load",
          silent="thread" in name)


def test_keras_lambda_benign(scene):
    """A lambda that computes: allowed by a rule, it runs. Its first use imports what it needs."""
    make(scene, "make.py", KERAS.replace("{LAYERS}", layers({"plain": "lambda x: __import__('decimal') and x * 2"})))
    scene.path("policy.json").write_text(json.dumps(READS_ALL))
    script = scene.write("app/infer.py",
                         textwrap.dedent(KERAS_PRELUDE) + "\npredict('case_plain')\nprint('predicted')\n")
    scene.benign(script, policy=scene.path("policy.json"), env={"KERAS_BACKEND": "torch"})


# --- Chat templates ------------------------------------------------------------------------------------------------

ESCAPES = {
    "template starts a program": "{{ cycler.__init__.__globals__.os.system('touch MARKER') }}",
    "template opens a file": "{{ cycler.__init__.__globals__.os.open('MARKER', 65) }}",
    "template through a macro": "{% macro m() %}{{ joiner.__init__.__globals__.os.popen('touch MARKER').read() }}{% "
                                "endmacro %}{{ m() }}",
}
TEMPLATE_PRELUDE = """
    import json, os
    import jinja2
    os.makedirs("markers", exist_ok=True)
    def lazy():
        import colorsys
        return colorsys.__name__
    def render(folder):
        # as SGLang and llama-cpp-python did: no sandbox (CVE-2024-34359, CVE-2026-5760)
        with open(f"{folder}/tokenizer_config.json") as file:
            template = json.load(file)["chat_template"]
        return jinja2.Environment(trim_blocks=True).from_string(template).render(
            lazy=lazy, messages=[{"role": "user", "content": "hi"}])
"""


def write_template(scene, folder, template):
    scene.path(folder).mkdir()
    scene.path(folder).joinpath("tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template}))
    scene.path(folder).joinpath("model.safetensors").touch()


@pytest.fixture(scope="module")
def templates(make_scene):
    scene = make_scene("templates")
    for name, template in ESCAPES.items():
        write_template(scene, function_name(name), template.replace("MARKER", marker(name)))
    return run_cases(AttackCases, scene, TEMPLATE_PRELUDE,
                     {name: f"render('{function_name(name)}')" for name in ESCAPES})


@pytest.mark.parametrize("name", ESCAPES)
def test_template(templates, name):
    check(templates, name, "template", "write-in-load" if "opens" in name else "exec-in-load")


def test_template_benign(scene):
    """A chat template renders, and imports what it needs for that; the application's own pages may call what the
    application hands them."""
    write_template(scene, "model",
                   "{% for m in messages %}{{ m.role }}: {{ m.content | trim }} {{ lazy() }}{% endfor %}")
    scene.write("pages/page.html", "{{ log() }}{{ name }}")
    script = scene.write("app/infer.py", textwrap.dedent(TEMPLATE_PRELUDE) + textwrap.dedent("""
        import subprocess
        def log():
            with open("log", "a") as file: file.write("seen")
            return subprocess.run(["echo", "page"], capture_output=True, text=True).stdout
        print(render("model"))
        print(jinja2.Environment(loader=jinja2.FileSystemLoader("pages")).get_template("page.html").render(
            log=log, name="me"))
        """))
    scene.benign(script)


# --- ONNX Runtime: operators in a library that came with the model --------------------------------------------------

ONNX = """
    import os, onnx
    from onnx import TensorProto, helper
    for folder in "model", "app":
        os.makedirs(folder, exist_ok=True)
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value("x")], [value("y")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), "model/model.onnx")
"""
ONNX_RUN = """
    import numpy, onnxruntime
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library("{LIBRARY}")
    session = onnxruntime.InferenceSession("model/model.onnx", options, providers=["CPUExecutionProvider"])
    print(session.run(None, {"x": numpy.array([-1, 1], numpy.float32)}))
"""


@pytest.mark.parametrize("where", ["model", "app/operators"])
def test_onnx_custom_operators(scene, where):
    """A library beside the model is the model's; the application's own operators register as ever."""
    make(scene, "make.py", ONNX)
    scene.path(where).mkdir(exist_ok=True)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", scene.path(where) / "liboperators.so", SOURCES / "operators.c"],
                   check=True)
    script = scene.write("app/infer.py", ONNX_RUN.replace("{LIBRARY}", f"{where}/liboperators.so"))
    env = {"MARKER": str(scene.marker())}
    if where == "model":
        _, enforce, _ = scene.attack(script, exception="guard: denied", env=env)
        assert {record["rule"] for record in enforce.denials} == {"native-of-model"}, str(enforce)
    else:
        scene.path("markers").mkdir()
        scene.benign(script, env=env)


# --- transformers: a model's own generate() ------------------------------------------------------------------------

def test_custom_generate(scene, models):
    """The model loads; its own generate.py, executed at the first call, is denied; the library's generate() works."""
    shutil.copytree(models / "base", scene.path("model"))
    scene.path("model/custom_generate").mkdir()
    scene.path("model/custom_generate/generate.py").write_text(textwrap.dedent(f"""
        import pathlib
        def generate(model, inputs, **options):
            pathlib.Path({str(scene.marker())!r}).touch()
            return inputs
        """))
    text = textwrap.dedent("""
        import torch
        from transformers import AutoModelForCausalLM, logging
        logging.set_verbosity_error(); logging.disable_progress_bar()
        model = AutoModelForCausalLM.from_pretrained("model")
        print("loaded", flush=True)
        own = {"custom_generate": "model", "trust_remote_code": True}
        print(model.generate(torch.tensor([[1, 2]]), max_new_tokens=2, do_sample=False, pad_token_id=0,
                             **OPTIONS).shape)
        """)
    script = scene.write("app/infer.py", text.replace("OPTIONS", "own"))
    _, enforce, _ = scene.attack(script)
    assert "loaded" in enforce.stdout and {record["rule"] for record in enforce.denials} == {"model-code"}, str(enforce)
    scene.benign(scene.write("app/plain.py", text.replace("OPTIONS", "{}")))


# --- HDF5: other files, opened when the data are asked for -----------------------------------------------------------

LINKS = """
    import os, h5py, numpy
    for folder in "model", "elsewhere", "measured":
        os.makedirs(folder, exist_ok=True)
    secret, here = numpy.arange(4.0), os.getcwd()
    for path in "elsewhere/secret.h5", "elsewhere/detector.h5", "model/part.h5":
        with h5py.File(path, "w") as file:
            file["w"] = secret
        with h5py.File(path.replace(".h5", "0.h5"), "w") as file:
            file["w"] = secret.reshape(1, 4)
    for path in "elsewhere/raw", "elsewhere/later", "model/raw":
        secret.tofile(path)

    def fill(file, other, raw):
        layout = h5py.VirtualLayout((4,), dtype="f8")
        layout[:] = h5py.VirtualSource(other, "w", shape=(4,))
        file["link"] = h5py.ExternalLink(other, "/w")
        file["absolute"] = h5py.ExternalLink(here + "/elsewhere/secret.h5", "/w")
        file.create_dataset("storage", (4,), dtype="f8", external=[(here + "/elsewhere/raw", 0, 32)])
        file.create_dataset("relative", (4,), dtype="f8", external=[(raw, 0, 32)])
        file.create_virtual_dataset("virtual", layout)
        many = h5py.h5s.create_simple((1, 4), (h5py.h5s.UNLIMITED, 4))
        many.select_hyperslab((0, 0), (h5py.h5s.UNLIMITED, 1), (1, 1), (1, 4))
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_virtual(many, other.replace(".h5", "%b.h5").encode(), b"w", h5py.h5s.create_simple((1, 4)))
        h5py.h5d.create(file.id, b"numbered", h5py.h5t.IEEE_F64LE, many, created)

    open("model/model.safetensors", "w").close()
    with h5py.File("model/own.h5", "w") as file:
        fill(file, "../elsewhere/secret.h5", "elsewhere/raw")
        file.create_dataset("later", (4,), dtype="f8", external=[("later", 0, 32)])
        file["within"] = h5py.ExternalLink("part.h5", "/w")
        file.create_dataset("beside", (4,), dtype="f8", external=[("model/raw", 0, 32)])
        for i in range(300):  # more than are remembered by name
            file[f"many{i}"] = h5py.ExternalLink(f"../elsewhere/none{i}.h5", "/w")
    with h5py.File("measured/all.h5", "w") as file:
        fill(file, "../elsewhere/detector.h5", "elsewhere/raw")
"""
LINKS_PRELUDE = """
    import os, h5py, numpy
    os.makedirs("markers", exist_ok=True)
    model = h5py.File("model/own.h5", "r")
    print("loaded", flush=True)
    def leaks(name, marker):
        if list(model[name][:].flatten()) == [0, 1, 2, 3]:
            open(marker, "w").close()
"""
LINK_ATTACKS = {"external link": "link", "link by an absolute path": "absolute", "external storage": "storage",
                "storage from the working directory": "relative", "virtual dataset": "virtual",
                "virtual dataset of numbered files": "numbered", "storage from where it goes later": "later"}


@pytest.fixture(scope="module")
def link_scene(make_scene):
    scene = make_scene("links")
    make(scene, "make.py", LINKS)
    return scene


@pytest.fixture(scope="module")
def link_attacks(link_scene):
    cases = {name: f"leaks({key!r}, {marker(name)!r})" for name, key in LINK_ATTACKS.items()}
    cases["storage from where it goes later"] = f"""
        marker = os.path.abspath({marker("storage from where it goes later")!r})
        os.chdir("elsewhere")
        try: leaks("later", marker)
        finally: os.chdir("..")"""
    return run_cases(AttackCases, link_scene, LINKS_PRELUDE, cases, policy={"version": 1})


@pytest.mark.parametrize("name", LINK_ATTACKS)
def test_hdf5_other_files(link_attacks, name):
    """Under the default policy: the model loads, its own data are read, the other file is denied when HDF5 opens it. Of
    a virtual dataset HDF5 gives the fill value then, and tells nobody."""
    check(link_attacks, name, "library", "read-outside", silent=name.startswith("virtual dataset"), native=True)
    if not link_attacks.scene.no_guard:
        enforce = link_attacks.enforce
        denied = [record for record in enforce.denials if record["rule"] == "read-outside"]
        path = str(link_attacks.scene.path("model/own.h5"))
        assert "loaded" in enforce.stdout and denied and {record["path"] for record in denied} == {path}, str(enforce)
        assert {record["model"]["id"] for record in denied} == {"file:" + str(link_attacks.scene.path("model"))}
        assert {Path(record["name"]).name for record in denied} == {"secret.h5", "secret0.h5", "raw",
                                                                    "later"}, str(enforce)


LINK_BENIGN = {
    "data of its own folder": "assert list(model['within'][:]) == list(model['beside'][:]) == [0, 1, 2, 3]",
    "the application opens the same files": """
        here = os.getcwd()
        for path in "elsewhere/secret.h5", here + "/elsewhere/secret.h5", "model/../elsewhere/secret.h5":
            with h5py.File(path, "r") as file:
                assert h5py.is_hdf5(path) and file["w"][3] == 3
        assert numpy.fromfile(here + "/elsewhere/raw")[3] == 3 and len(open("elsewhere/raw", "rb").read()) == 32""",
    "measurements that are no model's": """
        with h5py.File("measured/all.h5", "r") as file:
            assert list(file["virtual"][:]) == list(file["link"][:]) == [0, 1, 2, 3]""",
}


@pytest.fixture(scope="module")
def link_benign(link_scene):
    return run_cases(BenignCases, link_scene, LINKS_PRELUDE, LINK_BENIGN, policy={"version": 1})


@pytest.mark.parametrize("name", LINK_BENIGN)
def test_hdf5_other_files_benign(link_benign, name):
    link_benign.check(name)


# --- ONNX: tensors in files of their own ------------------------------------------------------------------------------

TENSORS = """
    import os, numpy, onnx
    from onnx import TensorProto, helper, numpy_helper
    for folder in "model", "elsewhere":
        os.makedirs(folder, exist_ok=True)
    for path in "elsewhere/secret", "model/weights":
        numpy.arange(4, dtype="f4").tofile(path)
    os.symlink("../elsewhere/secret", "model/link")
    def write(name, location):
        tensor = numpy_helper.from_array(numpy.arange(4, dtype="f4"), "w")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in ("location", location), ("offset", "0"), ("length", "16"):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [4])
        graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [value("x")], [value("y")],
                                  [tensor])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        open(f"model/{name}.onnx", "wb").write(model.SerializeToString())
    write("relative", "../elsewhere/secret")
    write("absolute", os.path.abspath("elsewhere/secret"))
    write("link", "link")
    write("within", "weights")
"""
TENSORS_READ = """
    import numpy, onnx, onnxruntime
    def runtime(path):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(None, {"x": numpy.zeros(4, numpy.float32)})[0]
    def library(path):
        return onnx.numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    for reader in runtime, library:
        for name in "relative", "absolute", "link", "within":
            try:
                reads = list(reader(f"model/{name}.onnx")) == [0, 1, 2, 3]
            except Exception as error:
                reads = False
            print(reader.__name__, name, reads, flush=True)
"""


def test_onnx_other_files(scene):
    """onnxruntime and onnx, in the versions of requirements.txt, open no file outside the model's folder themselves, so
    that there is no later call to judge: it is their own doing, with and without the guard. By the default policy such
    a model does not load."""
    make(scene, "make.py", TENSORS)
    scene.path("policy.json").write_text(json.dumps(READS_ALL))
    script = scene.write("app/infer.py", TENSORS_READ)
    expected = [f"{reader} {name} {name == 'within'}" for reader in ("runtime", "library")
                for name in ("relative", "absolute", "link", "within")]
    without = scene.run_python(script)
    assert without.stdout.split("\n")[:-1] == expected, str(without)
    if scene.no_guard:
        pytest.skip("--no-guard: what the libraries refuse by themselves was shown")
    enforce = scene.run_python(script, mode="enforce", policy=scene.path("policy.json"))
    assert enforce.stdout == without.stdout and not enforce.denials, str(enforce)
    default = scene.run_python(script, mode="enforce")
    assert {Path(record["path"]).name for record in default.denials} == {"relative.onnx", "absolute.onnx"}, str(default)


# --- llamafile: a model that is a program -----------------------------------------------------------------------------

PROGRAM = """
    #include <fcntl.h>
    int main(int count, char **words) { return count < 2 || creat(words[1], 0600) < 0; }
"""
STARTS = {
    "subprocess": "subprocess.run([MODEL, MARKER])",
    "subprocess by a path object": "subprocess.run([pathlib.Path(MODEL), MARKER])",
    "subprocess in the folder": "subprocess.run(['./server', os.path.abspath(MARKER)], cwd='model')",
    "posix_spawn": "os.waitpid(os.posix_spawn(MODEL, [MODEL, MARKER], os.environ), 0)",
    "exec": """
        child = os.fork()
        if child == 0:
            try: os.execv(MODEL, [MODEL, MARKER])
            except BaseException as error: os._exit(13)
        if os.waitpid(child, 0)[1]: raise PermissionError""",
    "system": "if os.system(MODEL + ' ' + MARKER): raise PermissionError",
    "system, further on": "if os.system('true; ' + MODEL + ' ' + MARKER): raise PermissionError",
    "system, in quotes": """if os.system('"' + MODEL + '" ' + MARKER): raise PermissionError""",
    "a shell": "if subprocess.run(MODEL + ' ' + MARKER, shell=True).returncode: raise PermissionError",
    "from a hub's cache": "subprocess.run([HUB, MARKER])",
    "a llamafile in the application's folder": "subprocess.run([OWN, MARKER])",
    "given to the loader": "subprocess.run(['/lib64/ld-linux-x86-64.so.2', MODEL, MARKER])",
    "a portable one, given to a shell": "subprocess.run(['sh', pathlib.Path(PORTABLE), *TOUCH, MARKER])",
    "a portable one, given to a shell in the folder": """
        subprocess.run(['sh', '-e', './llama', *TOUCH, os.path.abspath(MARKER)], cwd='portable')""",
    "a portable one, by exec": """
        child = os.fork()
        if child == 0:
            words = [word.encode() for word in (PORTABLE, *TOUCH, MARKER)]
            ctypes.CDLL(None).execvp(words[0], (ctypes.c_char_p * (len(words) + 1))(*words))
            os._exit(13)
        if os.waitpid(child, 0)[1]: raise PermissionError""",
    "a portable one, by spawn": "os.waitpid(os.posix_spawnp('sh', ['sh', PORTABLE, *TOUCH, MARKER], os.environ), 0)",
    "a portable one, by system": """
        if os.system('sh ' + PORTABLE + ' ' + shlex.join(TOUCH) + ' ' + MARKER): raise PermissionError""",
}
# What the portable program does: it runs another with fewer rights.
TOUCH = ["-V", "-p", "stdio rpath wpath cpath fattr prot_exec exec proc", "/usr/bin/touch"]
STARTS_PRELUDE = f"""
    import ctypes, os, pathlib, shlex, subprocess
    TOUCH = {TOUCH}
    os.makedirs("markers", exist_ok=True)
"""


def write_portable(path):
    """A real llamafile: a program made by Cosmopolitan, whose zip gets the weights and the arguments, stored."""
    shutil.copy(Path(cosmo_ent.__file__).parent / "data" / "pledge", path)
    weights = path.with_suffix(".gguf")
    writer = gguf.GGUFWriter(weights, "llama")
    writer.add_block_count(1)
    writer.add_tensor("token_embd.weight", numpy.ones((2, 4), numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as file:
        file.write(weights, "model.gguf")
        file.writestr(".args", "-m\nmodel.gguf\n...\n")
    weights.unlink()
    path.chmod(0o755)


def test_a_portable_model_is_told_of(scene):
    for folder in "model", "tools":
        scene.path(folder).mkdir()
    write_portable(scene.path("model/model.llamafile"))
    shutil.copy(Path(cosmo_ent.__file__).parent / "data" / "pledge", scene.path("tools/tool"))
    run = scene.guard("scan", "--format", "json", "model/model.llamafile", "tools/tool")
    said = [json.loads(line) for line in run.stdout.splitlines()]
    assert [(line["verdict"], line["format"]) for line in said] == [
        ("warn", ["llamafile", "zip", "gguf"]), ("allow", [])], said
    assert [finding["rule"] for finding in said[0]["findings"]] == ["llamafile"], said


@pytest.fixture(scope="module")
def start_scene(make_scene):
    scene = make_scene("llamafile")
    snapshot = f"hub/models--org--name/snapshots/{COMMIT}"
    for folder in "model", "app", "tools", "portable", snapshot:
        scene.path(folder).mkdir(parents=True)
    scene.write("program.c", PROGRAM)
    scene.path("model/model.safetensors").touch()
    scene.path("app/model.safetensors").touch()
    for path in "model/model.llamafile", "model/server", f"{snapshot}/server", "app/own.llamafile", "app/server", \
            "tools/server":
        subprocess.run(["gcc", "-o", scene.path(path), scene.path("program.c")], check=True)
    write_portable(scene.path("portable/llama"))
    scene.path("portable/model.safetensors").touch()
    scene.write("tools/describe", "ls -l \"$1\"\n")
    script = scene.path("model/script")
    script.write_text("#!/bin/sh\n: > \"$1\"\n")
    script.chmod(0o755)
    return scene


def starts(scene, bodies):
    words = {"MODEL": "model/model.llamafile", "HUB": f"hub/models--org--name/snapshots/{COMMIT}/server",
             "OWN": "app/own.llamafile", "PORTABLE": "portable/llama"}
    cases = {}
    for name, body in bodies.items():
        body = textwrap.dedent(body).replace("MARKER", repr(marker(name)))
        for word, path in words.items():
            body = body.replace(word, repr(str(scene.path(path))))
        cases[name] = body
    return cases


@pytest.fixture(scope="module")
def start_attacks(start_scene):
    return run_cases(AttackCases, start_scene, STARTS_PRELUDE, starts(start_scene, STARTS), policy={"version": 1})


@pytest.mark.parametrize("name", STARTS)
def test_start_of_model(start_attacks, name):
    """The start fails with EACCES; where Python is what starts it, the record says from which line."""
    cases, function = start_attacks, function_name(name)
    assert function in cases.without.markers, f"the attack does not fire without the guard\n{cases.without}"
    if cases.scene.no_guard:
        pytest.skip("--no-guard: the attack fires without it")
    assert function not in cases.enforce.markers, f"the payload ran\n{cases.enforce}"
    assert "PermissionError" in cases.enforce.outcomes[name], str(cases.enforce)
    assert function in cases.audit.markers, str(cases.audit)
    denials = [record for record in cases.enforce.denials if record["rule"] == "exec-of-model"]
    assert len(denials) == len(cases.enforce.denials), str(cases.enforce)
    if name not in ("system, further on", "a shell"):  # the shell's child is denied: it has no Python lines
        assert [record for record in cases.enforce.asked_by(cases.script, function)
                if record in denials], str(cases.enforce)
    assert {record["model"]["id"] for record in denials} == {
        f"file:{cases.scene.path('model')}", f"file:{cases.scene.path('app')}", f"file:{cases.scene.path('portable')}",
        "hf:org/name"}, str(cases.enforce)


START_BENIGN = {
    "the application's own program beside weights": "subprocess.run(['app/server', MARKER], check=True)",
    "a program elsewhere": "subprocess.run(['tools/server', MARKER], check=True); os.system('tools/server ' + MARKER)",
    "a script beside weights": "subprocess.run(['model/script', MARKER], check=True)",
    "an installed portable program": """
        import cosmo_ent, sys
        tool = os.path.join(os.path.dirname(sys.executable), 'cosmo-ent')
        subprocess.run([tool, sys.executable], check=True, stdout=subprocess.DEVNULL)
        cosmo_ent.run(sys.executable, check=True)""",
    "a model's program that is only read": """
        for command in [['wc', '-c', MODEL], ['cp', PORTABLE, 'copy'], ['sh', 'tools/describe', PORTABLE],
                        ['sh', '-c', 'ls $0', MODEL]]:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        os.system('wc -c ' + MODEL + ' > size')""",
    "the interpreter and installed programs": """
        import sys
        subprocess.run([sys.executable, '-c', 'pass'], check=True)
        subprocess.run([os.path.join(os.path.dirname(sys.executable), 'pip'), '--version'], check=True)
        subprocess.run(['ls', '/'], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([b'/bin/true'], check=True, cwd=pathlib.Path('model'))""",
}


@pytest.fixture(scope="module")
def start_benign(start_scene):
    return run_cases(BenignCases, start_scene, STARTS_PRELUDE, starts(start_scene, START_BENIGN), policy={"version": 1})


@pytest.mark.parametrize("name", START_BENIGN)
def test_start_of_model_benign(start_benign, name):
    start_benign.check(name)


def test_start_of_own_program(start_scene):
    """Also where the interpreter has loaded nothing before that would have told where the application lies."""
    script = start_scene.write("app/bare.py", """
        import os, sys
        assert os.waitpid(os.posix_spawn("app/server", ["app/server", "bare"], os.environ), 0)[1] == 0
        assert os.path.exists("bare")
        os.remove("bare")
        """)
    start_scene.benign(script)

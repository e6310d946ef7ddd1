"""What people do all day beside loading models: not one denial, not one word on stderr."""
import base64
import csv
import gzip
import hashlib
import io
import json
import shutil
import struct
import tarfile
import zipfile
import zlib

import pytest

import scene_classes
from conftest import assert_untouched
from make_models import payload_bytes


def test_own_classes_with_torch_loaded(scene):
    """The same classes as test_stdlib_interpreters, with a process full of installed packages around them."""
    scene.path("main.py").write_text("import numpy, pandas, sklearn, torch\n" + scene_classes.MAIN)
    scene.path("pickles").mkdir()
    for what in ("dump", "load"):
        without, _ = scene.benign(scene.path("main.py"), what, "pickles")
        assert "FAILED" not in without.stdout


CLASSES_OF_LIBRARIES = """
import math
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import nn


class Scaler(BaseEstimator, TransformerMixin):
    def __init__(self, factor=2.0):
        self.factor = factor

    def fit(self, X, y=None):
        self.mean_ = np.mean(X, axis=0)
        return self

    def transform(self, X):
        return (X - self.mean_) * self.factor


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.LayerNorm(8), nn.Dropout(0.1), nn.Linear(8, 2))
        self.embed = nn.Embedding(10, 4)
        self.register_buffer("steps", torch.zeros(3))

    def forward(self, x):
        return self.layers(x)


def scale(x):
    return x * 2


class Step(NamedTuple):
    name: str
    function: object
    dtype: torch.dtype = torch.float32


class Failed(Exception):
    pass
"""

USE_CLASSES = """

def main():
    import pickle, sys, warnings

    import joblib
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    warnings.simplefilter("ignore")
    net = Net().eval()
    pipeline = make_pipeline(Scaler(), FunctionTransformer(scale)).fit(np.ones((3, 2)))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        if sys.argv[1] == "dump":
            torch.save(net, f"net-{protocol}.pt", pickle_protocol=protocol) if protocol >= 2 else None
            joblib.dump(pipeline, f"pipeline-{protocol}.joblib", protocol=protocol)
            with open(f"net-{protocol}.pkl", "wb") as file:
                pickle.dump(net, file, protocol)
        if protocol >= 2:
            print(protocol, torch.load(f"net-{protocol}.pt", weights_only=False)(torch.ones(1, 4)).shape)
        print(protocol, joblib.load(f"pipeline-{protocol}.joblib").transform(np.ones((1, 2))).shape)
        with open(f"net-{protocol}.pkl", "rb") as file:
            print(protocol, type(pickle.load(file)).__name__, flush=True)
        steps = [Step("mean", np.mean), Step("relu", nn.functional.relu), Step("root", math.sqrt),
                 Failed(len, torch.bfloat16)]
        if sys.argv[1] == "dump":
            with open(f"steps-{protocol}.pkl", "wb") as file:
                pickle.dump(steps, file, protocol)
        with open(f"steps-{protocol}.pkl", "rb") as file:
            print(protocol, pickle.load(file)[0].function([1, 2, 3]))


if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("where", ["__main__", "a package"])
def test_own_modules_and_transformers(scene, where):
    if where == "__main__":
        script = scene.path("main.py")
        script.write_text(CLASSES_OF_LIBRARIES + USE_CLASSES)
    else:
        scene.write("mypkg/__init__.py", "")
        scene.write("mypkg/parts.py", CLASSES_OF_LIBRARIES)
        script = scene.path("main.py")
        script.write_text("import math\nimport numpy as np\nimport torch\nfrom torch import nn\n"
                          "from mypkg.parts import Failed, Net, Scaler, Step, scale\n"
                          + USE_CLASSES)
    for what in ("dump", "load"):
        scene.benign(script, what)


def test_pandas_and_sklearn(scene):
    script = scene.write("tables.py", """
        import re, sys, warnings
        from functools import partial
        import joblib
        import numpy as np
        import pandas as pd
        from sklearn.compose import ColumnTransformer
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

        warnings.simplefilter("ignore")

        def split(pattern, text):
            return pattern.findall(text)

        def main():
            frame = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=12, tz="UTC"), "x": np.arange(12.0) + 1,
                                  "kind": pd.Categorical(list("abcabcabcabc")),
                                  "text": ["one two", "three four"] * 6, "y": [0, 1] * 6,
                                  "gap": pd.array([1, None] * 6, dtype="Int64")})
            frame["ago"] = frame.when - frame.when[0]
            frame["month"] = frame.when.dt.tz_localize(None).dt.to_period("M")
            frame = frame.set_index(["kind", "when"]).reset_index()
            for name in ("frame.pkl", "frame.pkl.gz", "frame.pkl.zip", "frame.pkl.xz"):
                frame.to_pickle(name)
                print(name, pd.read_pickle(name).dtypes.astype(str).to_dict() == frame.dtypes.astype(str).to_dict())
            columns = ColumnTransformer([
                ("log", Pipeline([("log", FunctionTransformer(np.log1p)), ("scale", StandardScaler())]), ["x"]),
                ("kind", OneHotEncoder(handle_unknown="ignore"), ["kind"]),
                ("text", TfidfVectorizer(tokenizer=partial(split, re.compile(r"[a-z]+")), token_pattern=None), "text")])
            for model in (LogisticRegression(), RandomForestClassifier(3, random_state=0),
                          GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2)):
                pipeline = Pipeline([("columns", columns), ("model", model)]).fit(frame, frame.y)
                for compress in (0, 3):
                    joblib.dump(pipeline, "pipeline.joblib", compress=compress)
                    print(type(model).__name__, joblib.load("pipeline.joblib").predict(frame).tolist(), flush=True)
            np.save("objects.npy", np.array([{"a": 1}, None, "x"], dtype=object))
            print(np.load("objects.npy", allow_pickle=True))
            np.savez_compressed("arrays.npz", a=np.ones(3), b=np.array(["x"], dtype=object))
            print(sorted(np.load("arrays.npz", allow_pickle=True).items(), key=str))

        if __name__ == "__main__":
            main()
    """)
    scene.benign(script)


def test_trainer_checkpoints(scene, models):
    script = scene.write("train.py", f"""
        import os, shutil, warnings
        import torch
        from transformers import AutoModelForCausalLM, PrinterCallback, Trainer, TrainingArguments, logging
        warnings.simplefilter("ignore")
        logging.set_verbosity_error()

        class Rows(torch.utils.data.Dataset):
            def __len__(self):
                return 8

            def __getitem__(self, index):
                tokens = torch.arange(6) + index
                return {{"input_ids": tokens, "labels": tokens}}

        def trainer(steps):
            arguments = TrainingArguments("out", max_steps=steps, save_steps=2, per_device_train_batch_size=2,
                                          report_to=[], use_cpu=True, disable_tqdm=True, logging_strategy="no",
                                          dataloader_num_workers=1)
            model = AutoModelForCausalLM.from_pretrained({str(models / "base")!r})
            trainer = Trainer(model, arguments, train_dataset=Rows())
            trainer.remove_callback(PrinterCallback)  # it prints times
            return trainer

        shutil.rmtree("out", ignore_errors=True)
        trainer(2).train()
        print(sorted(os.listdir("out/checkpoint-2")))
        trainer(4).train(resume_from_checkpoint=True)
        for name in ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
            print(name, type(torch.load("out/checkpoint-4/" + name, weights_only=False)).__name__, flush=True)
    """)
    without, _ = scene.benign(script)
    assert "training_args.bin TrainingArguments" in without.stdout


def make_wheel(path):
    """The smallest wheel: one package with one module and a console script."""
    files = {"tinywheel/__init__.py": "def main():\n    print('tinywheel')\n",
             "tinywheel-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tinywheel\nVersion: 1.0\n",
             "tinywheel-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
                                              "Tag: py3-none-any\n",
             "tinywheel-1.0.dist-info/entry_points.txt": "[console_scripts]\ntinywheel = tinywheel:main\n"}
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(text)}\n"
    files["tinywheel-1.0.dist-info/RECORD"] = record + "tinywheel-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)


def test_pip_install(scene):
    make_wheel(scene.path("tinywheel-1.0-py3-none-any.whl"))
    script = scene.write("install.py", """
        import subprocess, sys
        run = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps",
                              "--root-user-action=ignore", "--upgrade", "--target", "site",
                              "tinywheel-1.0-py3-none-any.whl"], capture_output=True, text=True)
        print(run.returncode, run.stdout, run.stderr)
        print(subprocess.run([sys.executable, "-c", "import tinywheel; tinywheel.main()"], env={"PYTHONPATH": "site"},
                             capture_output=True, text=True).stdout)
    """)
    without, _ = scene.benign(script)
    assert without.stdout.startswith("0 ") and "tinywheel\n" in without.stdout, str(without)


def test_pytest(scene):
    scene.write("tests/test_model.py", """
        import pickle
        import pytest

        class Thing:
            def __init__(self, value):
                self.value = value

        @pytest.mark.parametrize("protocol", range(6))
        def test_round_trip(protocol, tmp_path):
            (tmp_path / "thing.pkl").write_bytes(pickle.dumps(Thing(3), protocol))
            assert pickle.loads((tmp_path / "thing.pkl").read_bytes()).value == 3

        def test_fails():
            assert [1, 2] == [1, 3]
    """)
    script = scene.write("run.py", """
        import pytest
        status = pytest.main(["-q", "-p", "no:cacheprovider", "tests"])
        print(int(status))
    """)
    without = scene.run_python(script)
    assert "1 failed, 6 passed" in without.stdout, str(without)
    if scene.no_guard:
        pytest.skip("--no-guard")
    enforce = scene.run_python(script, mode="enforce")
    for run in (without, enforce):
        run.stdout = "".join(line for line in run.stdout.splitlines(True) if " passed in " not in line)
    assert_untouched(without, enforce)


JUPYTER = """
    import json
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    try:
        for cell in json.load(open("cells.json")):
            def output(message):
                kind, content = message["msg_type"], message["content"]
                if kind == "stream" and content["name"] == "stdout":
                    print(content["text"], end="")
                elif kind == "execute_result":
                    print(content["data"]["text/plain"])
                elif kind == "error":
                    print(content["ename"] + ":", content["evalue"][:40])
            reply = client.execute_interactive(cell, timeout=120, output_hook=output)
            print(reply["content"]["status"], flush=True)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
"""

CELLS = [
    "import pickle, torch\nimport numpy as np",
    "class Thing:\n    def __init__(self, value):\n        self.value = value\n",
    "import enum\nclass Colour(enum.Enum):\n    RED = 1\n",
    "for protocol in range(6):\n"
    "    with open('thing.pkl', 'wb') as file:\n        pickle.dump([Thing(3), Colour.RED], file, protocol)\n"
    "    with open('thing.pkl', 'rb') as file:\n        print(pickle.load(file)[0].value)\n",
    "torch.save({'thing': Thing(4), 'w': torch.ones(2)}, 'thing.pt')\n"
    "torch.load('thing.pt', weights_only=False)['thing'].value",
    "!echo shell",
    "%timeit -n1 -r1 -o -q pass\n1",
]


def test_jupyter_cells(scene):
    scene.path("cells.json").write_text(json.dumps(CELLS))
    without, _ = scene.benign(scene.write("notebook.py", JUPYTER))
    assert without.stdout.count("ok") == len(CELLS), str(without)


def test_poison_in_a_cell(scene):
    """The kernel lives on, and the record names the cell's process."""
    scene.path("model.pkl").write_bytes(payload_bytes(scene.marker()))
    scene.path("cells.json").write_text(json.dumps(
        ["import pickle\nvalue = pickle.load(open('model.pkl', 'rb'))\nprint(sorted(value))", "1 + 1"]))
    script = scene.write("notebook.py", JUPYTER)
    without, enforce, audit = scene.three_runs(script)
    assert "marker" in without.markers and without.stdout == "['hook', 'weights']\nok\n2\nok\n", str(without)
    if scene.no_guard:
        pytest.skip("--no-guard")
    assert enforce.markers == [], str(enforce)
    assert "PermissionError" in enforce.stdout and enforce.stdout.endswith("error\n2\nok\n"), str(enforce)
    assert any(record["by"]["python"] for record in enforce.denials), str(enforce)
    assert (audit.stdout, audit.markers) == (without.stdout, without.markers), str(audit)


def test_torch_compile(scene):
    """Inductor writes C++, runs g++, loads the result, and reads its own caches back: cold, then warm, with models that were
    just loaded."""
    script = scene.write("compiled.py", """
        import torch

        torch.manual_seed(0)
        torch.save(torch.nn.Linear(8, 8), "net.pt")
        torch.save(torch.randn(8, 8), "input.pt")
        net = torch.load("net.pt", weights_only=False)

        @torch.compile
        def step(x):
            return torch.nn.functional.gelu(net(x)).sum(dim=1) * 2

        print(round(float(step(torch.load("input.pt")).sum()), 2))
    """)
    for name in ("without", "enforce"):
        scene.path(name).mkdir()
    without = scene.run_python(script, env={"TMPDIR": str(scene.path("without"))})
    assert without.returncode == 0, str(without)
    if scene.no_guard:
        pytest.skip("--no-guard")
    for _ in ("cold", "warm"):
        enforce = scene.run_python(script, mode="enforce", env={"TMPDIR": str(scene.path("enforce"))})
        assert_untouched(without, enforce)


def test_joblib_memory(scene):
    script = scene.write("memory.py", """
        import datetime
        import joblib
        import numpy as np

        memory = joblib.Memory("cache", verbose=0)

        class Result:
            def __init__(self, value):
                self.value = value

        @memory.cache
        def compute(size, when):
            return {"array": np.arange(size), "result": Result(size), "when": when}

        def main():
            for _ in range(2):
                found = compute(5, datetime.date(2024, 1, 2))
                print(found["array"], found["result"].value, found["when"], flush=True)

        if __name__ == "__main__":
            main()
    """)
    scene.benign(script)


def test_a_models_own_memory(scene):
    """A pipeline that keeps its steps' results with joblib, loaded and used: with the cache of another process, then without."""
    script = scene.write("pipeline.py", """
        import joblib
        import numpy as np
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import StandardScaler

        data, labels = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
        steps = [("scale", StandardScaler()), ("fit", LogisticRegression())]
        joblib.dump(Pipeline(steps, memory=joblib.Memory("cache", verbose=0)), "pipeline.joblib")
        for _ in range(2):
            print(joblib.load("pipeline.joblib").fit(data, labels).score(data, labels))
    """)
    without = scene.run_python(script)
    assert without.returncode == 0, str(without)
    if scene.no_guard:
        pytest.skip("--no-guard")
    for state in ("warm", "cold"):
        if state == "cold":
            shutil.rmtree(scene.path("cache"))
        assert_untouched(without, scene.run_python(script, mode="enforce"))
    assert list(scene.path("cache").rglob("output.pkl"))


# What triton does (runtime/build.py, runtime/cache.py) where there is a GPU: a launcher is compiled for each kernel, kept under
# its source's hash beside a description of the whole group, and imported from there.
LAUNCHERS = r'''
    import hashlib, importlib.util, json, os, subprocess, sysconfig, tempfile
    import torch

    SOURCE = """
    #include <Python.h>
    static PyObject *launch(PyObject *self, PyObject *unused) { return PyLong_FromLong(42); }
    static PyMethodDef methods[] = {{"launch", launch, METH_NOARGS, 0}, {0}};
    static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "__triton_launcher", 0, -1, methods};
    PyMODINIT_FUNC PyInit___triton_launcher(void) { return PyModule_Create(&module); }
    """
    folder = os.path.join(os.path.expanduser("~/.triton/cache"), hashlib.sha256(SOURCE.encode()).hexdigest())

    def put(data, name):
        os.makedirs(folder, exist_ok=True)
        temporary = os.path.join(folder, f"{name}.tmp.pid_{os.getpid()}")
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, os.path.join(folder, name))

    def compile_launcher():
        with tempfile.TemporaryDirectory() as work:
            source, library = os.path.join(work, "main.c"), os.path.join(work, "main.so")
            with open(source, "w") as file:
                file.write(SOURCE)
            subprocess.check_call(["gcc", source, "-O3", "-shared", "-fPIC", "-I" + sysconfig.get_path("include"), "-o", library])
            with open(library, "rb") as file:
                put(file.read(), "__triton_launcher.so")
        put(json.dumps({"name": "add", "num_warps": 4}).encode(), "add.json")
        put(json.dumps({"child_paths": {"add.json": os.path.join(folder, "add.json")}}).encode(), "__grp__add.json")

    def launch():
        path = os.path.join(folder, "__triton_launcher.so")
        if not os.path.exists(path):
            compile_launcher()
        with open(os.path.join(folder, "__grp__add.json")) as file:
            assert open(json.load(file)["child_paths"]["add.json"]).read()
        spec = importlib.util.spec_from_file_location("__triton_launcher", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.launch()

    os.makedirs("model", exist_ok=True)
    torch.save(torch.nn.Linear(2, 2), "model/pytorch_model.bin")
    torch.load("model/pytorch_model.bin", weights_only=False)
    print(launch())
'''


def test_launchers_of_triton(scene):
    script = scene.write("app/launch.py", LAUNCHERS)
    without = scene.run_python(script)
    assert without.returncode == 0 and "42" in without.stdout, str(without)
    if scene.no_guard:
        pytest.skip("--no-guard")
    shutil.rmtree(scene.home / ".triton")
    for _ in ("cold", "warm"):
        enforce = scene.run_python(script, mode="enforce")
        assert_untouched(without, enforce)
        assert not enforce.warnings, str(enforce)
    scene.benign(script)  # now the cache is one that another process wrote


def zip_crypto(data, password, key_check):
    """Traditional PKWARE encryption, as `zip -P` writes it; zipfile only reads it."""
    def step(crc, byte):
        return (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]

    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte):
        keys[0] = step(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xff)) * 134775813 + 1) & 0xffffffff
        keys[2] = step(keys[2], keys[1] >> 24)

    for byte in password:
        update(byte)
    out = bytearray()
    for byte in bytes(11) + bytes([key_check]) + data:
        mixed = keys[2] | 2
        out.append(byte ^ ((mixed * (mixed ^ 1)) >> 8 & 0xff))
        update(byte)
    return bytes(out)


def make_crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0xedb88320 if value & 1 else 0)
        table.append(value)
    return table


CRC_TABLE = make_crc_table()


def write_encrypted_zip(path, name, data, password):
    crc = zlib.crc32(data)
    body = zip_crypto(data, password, crc >> 24)
    fields = struct.pack("<HHHHHIIIHH", 20, 1, 0, 0, 0x21, crc, len(body), len(data), len(name), 0)
    local = b"PK\3\4" + fields + name + body
    central = b"PK\1\2" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    path.write_bytes(local + central + end)


def make_png(width, colour):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(colour) * width) * width
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, width, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def test_other_files(scene):
    """Files that are no models, some of them in containers that models use too."""
    with gzip.open(scene.path("table.csv.gz"), "wt", newline="") as file:
        csv.writer(file).writerows([["a", "b"], *([n, n * n] for n in range(500))])
    with zipfile.ZipFile(scene.path("letter.docx"), "w", zipfile.ZIP_DEFLATED) as docx:
        docx.writestr("[Content_Types].xml", '<?xml version="1.0"?><Types/>')
        docx.writestr("word/document.xml", '<?xml version="1.0"?><w:document>import cos system</w:document>')
    write_encrypted_zip(scene.path("secret.zip"), b"notes.txt", b"import os\n" * 50, b"password")
    with tarfile.open(scene.path("images.tar"), "w") as tar:
        for number in range(5):
            data = make_png(16, (number * 40, 0, 255))
            member = tarfile.TarInfo(f"train/{number}.png")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    scene.path("requirements.txt").write_text("import\nctorch\nR.\nnumpy\n")
    scene.path("log.txt").write_text("cposix\nsystem is what this log line begins with\n" * 100)
    scene.path("settings.json").write_text(json.dumps({"base_model_name_or_path": "gpt2", "name": "os.system"}))
    scene.path("app.jar").write_bytes(scene.path("letter.docx").read_bytes())
    script = scene.write("read.py", """
        import json, tarfile, zipfile
        import pandas as pd
        print(int(pd.read_csv("table.csv.gz").b.sum()))
        print(len(zipfile.ZipFile("letter.docx").read("word/document.xml")), zipfile.ZipFile("app.jar").namelist())
        print(zipfile.ZipFile("secret.zip").read("notes.txt", pwd=b"password")[:9])
        with tarfile.open("images.tar") as tar:
            print([(member.name, tar.extractfile(member).read(4)) for member in tar])
        for name in ("requirements.txt", "log.txt"):
            print(len(open(name).read()), len(open(name, "rb").read()))
        print(json.load(open("settings.json")))
    """)
    without, _ = scene.benign(script)
    assert "b'import os'" in without.stdout


def test_tools_on_poisoned_files(scene):
    """cp, sha256sum, tar and gzip read a poisoned file in a child: they hold no interpreter."""
    scene.path("model.pkl").write_bytes(payload_bytes(scene.marker()))
    script = scene.write("tools.py", """
        import subprocess
        subprocess.run("cp model.pkl copy.pkl && cmp model.pkl copy.pkl && tar cf model.tar model.pkl && "
                       "tar xOf model.tar model.pkl | cmp - model.pkl && gzip -kf copy.pkl && sha256sum copy.pkl && "
                       "cat model.pkl | wc -c && mv copy.pkl moved.pkl", shell=True, check=True)
    """)
    without, _ = scene.benign(script)
    assert "copy.pkl" in without.stdout


def test_safe_formats(scene, models):
    script = scene.write("safe.py", f"""
        import json
        from safetensors import safe_open
        from safetensors.torch import load_file
        from tokenizers import Tokenizer
        base = {str(models / "base")!r}
        print(len(load_file(base + "/model.safetensors")))
        with safe_open(base + "/model.safetensors", framework="np") as file:
            print(sorted(file.keys())[:2])
        print(Tokenizer.from_file(base + "/tokenizer.json").encode("the guard").tokens)
        print(json.load(open(base + "/config.json"))["model_type"])
    """)
    scene.benign(script)

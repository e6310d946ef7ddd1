"""The graph is the truth: the model files that strace sees opened are those of the report, and each edge has the kind
and the parent that it really has. Real libraries on real cache layouts, one process a library; audit, because some of
it is denied."""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import graph_models
import pytest
from conftest import COMMAND, LIBRARY

LOADS = {
    "transformers": '''
        import concurrent.futures, threading, warnings
        warnings.simplefilter("ignore")
        from peft import AutoPeftModelForCausalLM, PeftModel
        from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer, logging
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        import embedkit

        def background():
            AutoModel.from_pretrained("acme/background")

        AutoPeftModelForCausalLM.from_pretrained("acme/adapter")
        AutoTokenizer.from_pretrained("acme/base")
        base = AutoModelForCausalLM.from_pretrained("acme/base")
        base.config.use_cache = False
        PeftModel.from_pretrained(base, "acme/xlora")
        thread = threading.Thread(target=background)
        thread.start()
        thread.join()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            pool.submit(AutoModel.from_pretrained, "acme/pooled").result()
        embedkit.embed()
        AutoModel.from_pretrained("acme/custom", trust_remote_code=True)
        ''',
    "pipelines": '''
        import warnings
        warnings.simplefilter("ignore")
        from diffusers import DiffusionPipeline
        from sentence_transformers import SentenceTransformer
        from transformers import logging
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        pipeline = DiffusionPipeline.from_pretrained("acme/ddpm")
        print(SentenceTransformer("acme/sentences").encode("the guard reads").shape)
        ''',
    "files": '''
        import pickle, sys, warnings
        warnings.simplefilter("ignore")
        import h5py, joblib, onnxruntime, torch
        files = sys.argv[1]
        torch.hub.load("acme/net:main", "net", trust_repo=True, skip_validation=True, verbose=False)
        with open(files + "/first/loader.pkl", "rb") as file:
            print(pickle.load(file)["weights"].sum().item())
        print(joblib.load(files + "/forest/forest.pkl")["trees"].sum())
        session = onnxruntime.InferenceSession(files + "/graph/model.onnx")
        with h5py.File(files + "/data/model.h5") as file:
            print(file["w"][2])
        ''',
}


class Traced:
    def __init__(self, scene, name, cache, work):
        self.folder = work
        script = scene.write(f"infer_{name}.py", LOADS[name])
        trace, log = work / f"{name}.trace", work / f"{name}.jsonl"
        environment = scene.environment({
            "HF_HUB_CACHE": str(cache), "HF_MODULES_CACHE": str(work / "modules"), "TORCH_HOME": str(work / "torch"),
            "PYTHONPATH": str(work / "site-packages"), "PYTHONDONTWRITEBYTECODE": "1",
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"})
        command = ["strace", "-f", "-qq", "--seccomp-bpf", "-s", "4096", "-e", "trace=open,openat", "-e", "signal=none",
                   "-o", trace,
                   "-E", f"LD_PRELOAD={LIBRARY}", "-E", "GUARD_MODE=audit", "-E", f"GUARD_LOG={log}", "-E",
                   "GUARD_QUIET=1",
                   sys.executable, script, work / "files"]
        done = subprocess.run([str(word) for word in command], cwd=work, env=environment, capture_output=True,
                              text=True, timeout=400)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
        self.graph = json.loads(subprocess.run([COMMAND, "report", "--format", "json", log], capture_output=True,
                                               check=True).stdout)
        self.opened = set(self.opened_files(trace, work))
        assert self.opened, "strace saw nothing"

    @staticmethod
    def opened_files(trace, work):
        """What was opened to be read, of models: in a snapshot, in a cache, or among the files; whatever it holds."""
        folders = [work / name for name in ("hub", "modules", "torch/hub", "files")]
        for line in trace.read_text(errors="replace").splitlines():
            call = re.match(r'\d+ +open(?:at)?\((?:AT_FDCWD, )?"((?:[^"\\]|\\.)*)", (\S+?)(?:, \d+)?\) += \d+', line)
            if not call or "O_DIRECTORY" in call[2] or "O_WRONLY" in call[2] or "O_CREAT" in call[2]:
                continue
            path = Path(os.path.realpath(os.path.join(work, call[1])))
            named = Path(os.path.abspath(os.path.join(work, call[1])))
            if any(named.is_relative_to(folder)
                   for folder in folders) and path.is_file() and path.stat().st_size > 0 and \
                    "refs" not in named.parts and "__pycache__" not in named.parts and ".locks" not in named.parts:
                yield str(path)

    @property
    def reported(self):
        return {os.path.realpath(path) for file in self.graph["files"] for path in (file["path"], *file["copies"])}

    @property
    def edges(self):
        return {(self.short(edge["parent"]), self.short(edge["child"]), edge["kind"]) for edge in self.graph["edges"]
                if edge["loaded"]}

    def short(self, model):
        return model.replace(f"file:{self.folder}/files/", "").replace("hf:acme/", "")

    def findings(self, *kinds):
        return {(finding["kind"], self.short(finding["model"])) for finding in self.graph["findings"]
                if finding["kind"] in kinds}

    def asked(self, model):
        return next(one["asked"] for one in self.graph["models"] if self.short(one["id"]) == model)


@pytest.fixture(scope="module")
def world(make_scene):
    """The caches of all scenes."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    scene = make_scene("graph")
    work = scene.folder
    source = work / "source"
    source.mkdir()
    cache = work / "hub"
    graph_models.make_transformers(cache, source)
    graph_models.make_remote_code(cache, source)
    graph_models.make_pipelines(cache, source)
    graph_models.make_torch_hub(work / "torch")
    graph_models.make_files(work / "files")
    library = work / "site-packages" / "embedkit"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text(graph_models.LIBRARY)
    assert shutil.which("strace"), "`make check` installs strace"
    return scene, cache, work


@pytest.fixture(scope="module")
def traced(world):
    runs = {}

    def run(name):
        if name not in runs:
            runs[name] = Traced(world[0], name, *world[1:])
        return runs[name]
    return run


@pytest.mark.parametrize("name", LOADS)
def test_files_are_those_that_were_opened(traced, name):
    run = traced(name)
    assert run.reported == run.opened, (sorted(run.reported - run.opened), sorted(run.opened - run.reported))


def test_transformers_edges(traced):
    run = traced("transformers")
    assert run.edges == {("adapter", "base", "declared"), ("xlora", "lora-a", "declared"),
                         ("xlora", "lora-b", "declared"),
                         ("xlora", "base", "declared"), ("lora-a", "base", "declared"), ("lora-b", "base", "declared"),
                         ("custom", "code", "declared"), ("code", "hidden", "observed")}
    assert run.findings("hard-coded", "hidden-load") == {("hard-coded", "embedder"), ("hidden-load", "hidden")}
    assert run.asked("embedder")["by"] == "library" and run.asked("embedder")["name"] == "embedkit"
    for model in "adapter", "xlora", "background", "pooled", "custom":
        assert run.asked(model)["by"] == "app" and run.asked(model)["named_by"] == "app", model
    assert ("unpinned", "base") in run.findings("unpinned") and ("unpinned", "code") in run.findings("unpinned")
    shards = [file["inside"] for file in run.graph["files"] if file["model"] == "hf:acme/base"
              and file["format"] == "safetensors"]
    assert len(shards) > 1


def test_pipelines_are_one_model_each(traced):
    run = traced("pipelines")
    assert run.edges == set() and {run.short(model["id"]) for model in run.graph["models"]
                                   if model["loaded"]} == {"ddpm", "sentences"}
    insides = {file["inside"] for file in run.graph["files"]}
    assert {"model_index.json", "unet/diffusion_pytorch_model.safetensors", "modules.json"} <= insides
    assert any(inside.startswith("2_Dense/") for inside in insides)
    assert run.findings("hard-coded", "hidden-load") == set()


def test_files_edges(traced):
    run = traced("files")
    assert run.edges == {("torchhub:acme/net", "torchhub:checkpoints/tinynet-12345678.pth", "observed"),
                         ("first", "second", "pickled"),
                         ("data", "linked", "declared")}
    files = {(run.short(file["model"]), file["inside"]): file for file in run.graph["files"]}
    assert files["forest", "forest.pkl_01.npy"]["from"] == "forest.pkl"
    assert files["graph", "weights.data"]["from"] == "model.onnx" and files["graph", "weights.data"]["format"] is None
    assert files["second", "other.pt"]["from"] == "loader.pkl"

"""Files that real libraries write are left alone: the quick part of `make check-benign` (tests/benign)."""
import json
import subprocess
import sys
from pathlib import Path

from conftest import COMMAND, LIBRARY
from guard_command import environment

GENERATOR = Path(__file__).parent / "make_benign.py"
# Each carries the byte code of a function; tests/benign/explained.tsv says more.
CODE = {"other_picklers/lambda.dill.pkl", "other_picklers/lambda.cloud.pkl"}


def generator(*words, **more):
    done = subprocess.run([sys.executable, "-W", "ignore", GENERATOR, *map(str, words)], capture_output=True, text=True,
                          timeout=600,
                          env=environment(HF_HUB_OFFLINE=1, TOKENIZERS_PARALLELISM="false", **more))
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def test_files(tmp_path):
    generator(tmp_path, "--quick", HOME=tmp_path)
    done = subprocess.run([COMMAND, "scan", "--format", "json", tmp_path], capture_output=True, timeout=300)
    results = {Path(result["path"]).relative_to(tmp_path).as_posix(): result
               for result in map(json.loads, done.stdout.splitlines())}
    assert len(results) > 300
    assert {name for name, result in results.items() if result["verdict"] == "deny"} == CODE
    warned = {finding["rule"] for result in results.values() if result["verdict"] == "warn"
              for finding in result["findings"]}
    assert warned == {"unlisted-create"}, "an application's own classes, and nothing else"
    for name, format in {"xgboost/classifier.json": "xgboost", "xgboost/classifier.ubj": "xgboost",
                         "lightgbm/ranker.txt": "lightgbm",
                         "keras/words.keras": "keras", "torch/scripted.pt": "torchscript",
                         "tensorflow/module/saved_model.pb": "saved-model",
                         "tensorflow/session/frozen.pb": "tensorflow-graph",
                         "tensorflow/old_checkpoint/model.meta": "tensorflow-graph",
                         "gguf/tiny.gguf": "gguf"}.items():
        assert format in results[name]["format"]

    loaded = generator("--load", tmp_path, HOME=tmp_path, LD_PRELOAD=LIBRARY, GUARD_QUIET=1)
    index = json.loads((tmp_path / "index.json").read_text())
    assert {line.split()[1].rstrip(":") for line in loaded[:-1]} == CODE, loaded
    assert loaded[-1] == f"loaded {len(index) - len(CODE)}"

"""Model files as the real libraries write them, for measuring and proving that ordinary models are left alone.

    make_benign.py FOLDER [--quick] [SECTION...]   writes FOLDER/SECTION/NAME and FOLDER/index.json: which loader reads
                                                   which
    make_benign.py --load FOLDER                   reads all of them back in this one process; prints what the guard
                                                   refused

Single pickled values of every kind are those of benign_values.py; here are whole files, in every container. A section
is a function below; what --quick leaves out costs seconds. A library that is missing is an error.
"""
import functools
import importlib.util
import json
import os
import pickle
import sys
import warnings
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.simplefilter("ignore")

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
COMPRESSORS = ("zlib", "gzip", "bz2", "lzma", "xz", "lz4")


def data():
    import numpy as np
    random = np.random.RandomState(0)
    return np.abs(random.randn(60, 4)), np.tile([0, 1], 30)


def dumped(value, protocol):
    return lambda path: path.write_bytes(pickle.dumps(value, protocol))


# --- PyTorch

def torch_files(quick):
    import torch
    from torch import nn, optim
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2,
                                    enable_nested_tensor=False)
    shared = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.LSTM(3, 4, 2), "c": nn.Embedding(5, 3)})
    shared["d"] = shared["a"]
    models = {"conv": conv, "encoder": encoder, "shared": shared, "half": nn.Linear(3, 3).half()}
    for name, model in models.items():
        for zipped, suffix in ((True, "zip"), (False, "legacy")):
            for kind, value in (("module", model), ("state", model.state_dict()), ("checkpoint", checkpoint(model))):
                yield f"{name}.{kind}.{suffix}.pt", saved(value, zipped, 2), "torch"
                if kind == "module":
                    for protocol in (3, 4, 5):
                        yield f"{name}.{kind}.{suffix}.p{protocol}.pt", saved(value, zipped, protocol), "torch"
    for kind in (optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad, optim.LBFGS, optim.NAdam):
        made = kind(nn.Linear(2, 2).parameters(), lr=0.1)
        yield f"optimizer.{kind.__name__}.pt", saved({"optimizer": made.state_dict()}, True, 2), "torch"
        yield f"optimizer.{kind.__name__}.whole.pt", saved(made, True, 2), "torch"
    step, schedules = optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1, momentum=0.9), optim.lr_scheduler
    for name, made in {"step": schedules.StepLR(step, 1), "cosine": schedules.CosineAnnealingLR(step, 2),
                       "cycle": schedules.OneCycleLR(step, 0.1, 10),
                       "plateau": schedules.ReduceLROnPlateau(step)}.items():
        yield f"scheduler.{name}.pt", saved({"scheduler": made.state_dict(), "epoch": 3, "best": 0.5}, True, 2), "torch"
    yield "tensors.pt", saved([torch.arange(3, dtype=kind) for kind in (torch.float32, torch.bfloat16, torch.int8)],
                              True, 2), "torch"
    yield "quantized.pt", saved(torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(2, 2)), {nn.Linear},
                                                                       dtype=torch.qint8), True, 2), "torch"
    yield from torchscript_files(torch, nn)
    if not quick:
        yield "exported.pt2", lambda path: torch.export.save(torch.export.export(nn.Linear(3, 2), (torch.zeros(1, 3),)),
                                                             path), "pt2"
        yield "packaged.pt", packaged, "package"


def checkpoint(model):
    import argparse
    import collections
    import torch
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.001)
    return {"epoch": 3, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict(),
            "best_acc1": torch.tensor(0.5),
            "args": argparse.Namespace(lr=0.1, names=["a"]), "history": collections.defaultdict(list, loss=[1.0, 0.5]),
            "rng": torch.get_rng_state()}


def saved(value, zipped, protocol):
    import torch
    return lambda path: torch.save(value, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)


def torchscript_files(torch, nn):
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(3, 3)
            self.names = ["a", "b"]

        def forward(self, x: torch.Tensor, flag: bool = True):
            if flag:
                return torch.relu(self.inner(x)), {"save": x.sum()}
            return x, {"from_file": x}

    yield "scripted.pt", lambda path: torch.jit.save(torch.jit.script(nn.Sequential(nn.Linear(3, 2), nn.GELU())),
                                                     path), "jit"
    yield "traced.pt", lambda path: torch.jit.save(torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3)), path), "jit"
    lstm = nn.LSTM(3, 4, batch_first=True)
    yield "traced_lstm.pt", lambda path: torch.jit.save(torch.jit.trace(lstm, torch.zeros(1, 2, 3)), path), "jit"
    yield "frozen.pt", lambda path: torch.jit.save(torch.jit.freeze(torch.jit.script(nn.Linear(3, 2).eval())),
                                                   path), "jit"
    yield "traced_gate.pt", lambda path: torch.jit.save(torch.jit.trace(Gate(), torch.zeros(1, 3), strict=False),
                                                        path), "jit"


def packaged(path):
    import torch
    with torch.package.PackageExporter(path) as exporter:
        exporter.save_source_string("mine.code", "def answer():\n    return 42\n")
        exporter.save_pickle("model", "model.pkl", {"weights": [1.0]})


# --- numpy, pandas

def numpy_files(quick):
    import numpy as np
    kinds = {"float": np.zeros((2, 3)), "object": np.array([1, "a", None, [2]], dtype=object),
             "text": np.array(["a", "bc"]),
             "structured": np.zeros(2, dtype=[("a", "i4"), ("b", "U3")]), "dates": np.array(["2020"], "M8[D]"),
             "fortran": np.asfortranarray(np.zeros((2, 3)))}
    for name, array in kinds.items():
        yield f"{name}.npy", lambda path, array=array: np.save(path, array), "numpy"
        yield f"{name}.npz", lambda path, array=array: np.savez(path, array, other=array), "numpy"
        yield f"{name}.packed.npz", lambda path, array=array: np.savez_compressed(path, array), "numpy"


def pandas_files(quick):
    import pandas as pd
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None], "c": pd.Categorical(["u", "v", "u"]),
                          "t": pd.date_range("2020", periods=3, tz="UTC"), "i": pd.array([1, None, 3], dtype="Int64")})
    for protocol in (2, 3, 4, 5):
        yield f"frame.p{protocol}.pkl", lambda path, protocol=protocol: frame.to_pickle(
            path, protocol=protocol), "pandas"
        yield f"series.p{protocol}.pkl", lambda path, protocol=protocol: frame["t"].to_pickle(
            path, protocol=protocol), "pandas"
    for suffix in ("gz", "bz2", "xz", "zip", "tar"):
        yield f"frame.pkl.{suffix}", lambda path: frame.to_pickle(path), "pandas"


# --- scikit-learn, joblib, skops

def estimators(quick):
    import numpy as np
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
    from sklearn.utils import all_estimators
    from benign_values import _estimator, _text_pipelines
    x, y = data()
    yield "pipeline", make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), LogisticRegression()).fit(x, y)
    yield "columns", make_column_transformer((StandardScaler(), [0, 1]), (OneHotEncoder(), [2])).fit(np.round(x))
    yield "grid", GridSearchCV(LogisticRegression(), {"C": [1, 2]}, cv=3).fit(x, y)
    yield "random", RandomizedSearchCV(LogisticRegression(), {"C": [1, 2, 3]}, n_iter=2, cv=3, random_state=0).fit(x, y)
    yield "text", _text_pipelines()[1]
    for name, kind in all_estimators():
        if quick and name not in ("RandomForestClassifier", "HistGradientBoostingClassifier", "SVC", "KMeans", "PCA",
                                  "MLPClassifier"):
            continue
        made = _estimator(kind, name)
        for given in ((x, y), (x, None), (np.round(x), y)) if made is not None else ():
            try:
                yield name, made.fit(*given)
                break
            except Exception:
                continue


def sklearn_files(quick):
    import joblib
    import skops.io
    for name, model in estimators(quick):
        for protocol in (2, 4, 5):
            yield f"{name}.p{protocol}.pkl", dumped(model, protocol), "pickle"
        yield f"{name}.joblib", lambda path, model=model: joblib.dump(model, path), "joblib"
        if skops_can(model):
            yield f"{name}.skops", lambda path, model=model: skops.io.dump(model, path), "skops"
        if name in ("pipeline", "grid", "RandomForestClassifier", "SVC"):
            for compressor in COMPRESSORS:
                yield f"{name}.{compressor}.joblib", lambda path, model=model, how=compressor: joblib.dump(
                    model, path, compress=(how, 3)), "joblib"


def skops_can(model):
    import skops.io
    try:
        return bool(skops.io.dumps(model))
    except Exception:
        return False


def joblib_files(quick):
    import joblib
    import numpy as np
    values = {"arrays": {"a": np.arange(9.0), "b": np.asfortranarray(np.eye(3)), "c": np.array([1, "a"], dtype=object)},
              "plain": {"a": [1, 2.5, "x"], "b": None}, "big": np.zeros((300, 300))}
    for name, value in values.items():
        for protocol in (2, 3, 4, 5):
            yield f"{name}.p{protocol}.joblib", lambda path, value=value, protocol=protocol: joblib.dump(
                value, path, protocol=protocol), "joblib"
        for compressor in COMPRESSORS:
            yield f"{name}.{compressor}.joblib", lambda path, value=value, how=compressor: joblib.dump(
                value, path, compress=(how, 3)), "joblib"


# --- Gradient boosting

def xgboost_files(quick):
    import joblib
    import xgboost
    x, y = data()
    classifier = xgboost.XGBClassifier(n_estimators=3, max_depth=2, feature_types=["q"] * 4).fit(x, y)
    regressor = xgboost.XGBRegressor(n_estimators=3, booster="dart",
                                     early_stopping_rounds=2).fit(x, y, eval_set=[(x, y)], verbose=False)
    ranker = xgboost.XGBRanker(n_estimators=2).fit(x, y, qid=[0] * 60)
    linear = xgboost.train({"booster": "gblinear"}, xgboost.DMatrix(x, y, feature_names=["a", "b", "c", "d"]), 2)
    linear.set_attr(note="ours")
    for name, model in {"classifier": classifier, "regressor": regressor, "ranker": ranker, "linear": linear}.items():
        for protocol in (2, 4, 5):
            yield f"{name}.p{protocol}.pkl", dumped(model, protocol), "pickle"
        yield f"{name}.joblib", lambda path, model=model: joblib.dump(model, path), "joblib"
        for suffix in ("json", "ubj", "model"):
            yield f"{name}.{suffix}", lambda path, model=model: model.save_model(path), "xgboost"


def lightgbm_files(quick):
    import joblib
    import lightgbm
    x, y = data()
    options = {"n_estimators": 3, "verbose": -1, "min_child_samples": 2}
    models = {"classifier": lightgbm.LGBMClassifier(**options).fit(x, y),
              "regressor": lightgbm.LGBMRegressor(**options, linear_tree=True).fit(x, y),
              "ranker": lightgbm.LGBMRanker(**options).fit(x, y, group=[60])}
    for name, model in models.items():
        for protocol in (2, 4, 5):
            yield f"{name}.p{protocol}.pkl", dumped(model, protocol), "pickle"
            yield f"{name}.booster.p{protocol}.pkl", dumped(model.booster_, protocol), "pickle"
        yield f"{name}.joblib", lambda path, model=model: joblib.dump(model, path), "joblib"
        yield f"{name}.txt", lambda path, model=model: model.booster_.save_model(path), "lightgbm"


# --- Keras

def keras_files(quick):
    import keras
    from keras import layers
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.GlobalAveragePooling2D()(x)
    functional = keras.Model(inputs, layers.Dense(2, activation="softmax",
                                                  kernel_regularizer=keras.regularizers.L2(0.01))(x))
    functional.compile(optimizer=keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)),
                       loss="categorical_crossentropy", metrics=["accuracy", keras.metrics.AUC()])
    recurrent = keras.Sequential([keras.Input((5, 3)), layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
                                  layers.Dropout(0.5), layers.GRU(3), layers.Dense(1)])
    recurrent.compile("sgd", keras.losses.MeanSquaredError())
    words = keras.Sequential([keras.Input((4,), dtype="int32"), layers.Embedding(10, 4), layers.Flatten(),
                              layers.Dense(1)])
    for name, model in {"functional": functional, "recurrent": recurrent, "words": words}.items():
        yield f"{name}.keras", lambda path, model=model: model.save(path), "keras"
        yield f"{name}.h5", lambda path, model=model: model.save(path), "keras"
        yield f"{name}.weights.h5", lambda path, model=model: model.save_weights(path), "h5py"
        yield f"{name}.json", lambda path, model=model: path.write_text(model.to_json()), "keras-json"


# --- Hugging Face: folders of files

def tiny_llama():
    import transformers
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(hidden_size=8, num_hidden_layers=1,
                                                                  num_attention_heads=2,
                                                                  num_key_value_heads=2, intermediate_size=8,
                                                                  vocab_size=120))


def transformers_files(quick):
    import torch
    import transformers
    from make_models import make_tokenizer

    def causal(path):
        tiny_llama().save_pretrained(path)
        tokenizer = make_tokenizer()
        tokenizer.chat_template = "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] }}{% endfor %}"
        tokenizer.save_pretrained(path)

    def sharded(path):
        tiny_llama().save_pretrained(path, max_shard_size="2KB")

    def old(path):
        model = tiny_llama()
        model.config.save_pretrained(path)
        torch.save(model.state_dict(), path / "pytorch_model.bin")
        torch.save(transformers.TrainingArguments(str(path), report_to=[]), path / "training_args.bin")

    def bert(path):
        transformers.BertForSequenceClassification(transformers.BertConfig(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
            vocab_size=120)).save_pretrained(path)

    def vision(path):
        transformers.ViTForImageClassification(transformers.ViTConfig(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=8,
            patch_size=4)).save_pretrained(path)
        transformers.ViTImageProcessor().save_pretrained(path)

    yield "causal", causal, "causal-lm"
    yield "old", old, "causal-lm"
    yield "bert", bert, "model"
    if not quick:
        yield "sharded", sharded, "causal-lm"
        yield "vision", vision, "model"


def peft_files(quick):
    import peft
    import torch

    def adapter(config):
        def write(path):
            base = path / "base"
            model = tiny_llama()
            model.save_pretrained(base)
            model = peft.get_peft_model(type(model).from_pretrained(base), config)
            model.save_pretrained(path)
        return write

    def binary(path):
        adapter(peft.LoraConfig(r=2, task_type="CAUSAL_LM", target_modules=["q_proj"]))(path)
        from safetensors.torch import load_file
        torch.save(load_file(path / "adapter_model.safetensors"), path / "adapter_model.bin")
        os.unlink(path / "adapter_model.safetensors")

    yield "lora", adapter(peft.LoraConfig(r=2, task_type="CAUSAL_LM", target_modules=["q_proj"],
                                          modules_to_save=["lm_head"])), "peft"
    yield "lora_bin", binary, "peft"
    if not quick:
        yield "ia3", adapter(peft.IA3Config(task_type="CAUSAL_LM", target_modules=["k_proj"],
                                            feedforward_modules=[])), "peft"
        yield "prompt", adapter(peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)), "peft"


def diffusers_files(quick):
    import diffusers
    unet = {"sample_size": 8, "in_channels": 3, "out_channels": 3, "layers_per_block": 1, "block_out_channels": (8, 8),
            "norm_num_groups": 4,
            "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}

    def pipeline(safe):
        return lambda path: diffusers.DDPMPipeline(diffusers.UNet2DModel(**unet),
                                                   diffusers.DDPMScheduler(10)).save_pretrained(
path, safe_serialization=safe)

    yield "ddpm", pipeline(True), "diffusers"
    yield "ddpm_bin", pipeline(False), "diffusers"


def sentence_transformers_files(quick):
    import sentence_transformers
    import transformers
    from make_models import make_tokenizer
    try:
        from sentence_transformers.models import Pooling, Transformer
    except ImportError:
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    def write(path):
        bert = path / "source"
        transformers.BertModel(transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                                                       intermediate_size=8,
                                                       vocab_size=120)).save_pretrained(bert)
        make_tokenizer().save_pretrained(bert)
        parts = [Transformer(str(bert)), Pooling(8)]
        sentence_transformers.SentenceTransformer(modules=parts, device="cpu").save(str(path / "model"))

    yield "bert", write, "sentence-transformers"


def accelerate_files(quick):
    import accelerate
    import torch

    def state(path):
        engine = accelerate.Accelerator(cpu=True)
        model = torch.nn.Linear(3, 2)
        parts = engine.prepare(model, torch.optim.AdamW(model.parameters()),
                               torch.optim.lr_scheduler.StepLR(torch.optim.SGD(model.parameters(), 0.1), 1))
        engine.save_state(str(path))
        del parts

    yield "state", state, "torch-folder"


def ultralytics_files(quick):
    """A whole pickled model of a package of its own; the names are those that YOLO checkpoints hold."""
    import torch
    import own_yolo.nn.tasks as tasks

    model = tasks.DetectionModel()
    yield "yolo.pt", saved({"epoch": -1, "best_fitness": None, "model": model.half(), "ema": None, "updates": None,
                            "optimizer": None,
                            "train_args": {"data": "coco.yaml", "imgsz": 640}, "date": "2024-01-01T00:00:00",
                            "version": "8.0.0"}, True, 2), "torch"
    yield "yolo.legacy.pt", saved({"model": model, "names": {0: "person"}, "stride": torch.tensor([8.0])}, False,
                                  2), "torch"


# --- Formats without code

def onnx_files(quick):
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    weight = numpy_helper.from_array(np.ones((4, 2), np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
                              "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    def external(path):
        path.mkdir()
        onnx.save(model, str(path / "model.onnx"), save_as_external_data=True, location="model.onnx.data",
                  size_threshold=0)

    yield "plain.onnx", lambda path: onnx.save(model, str(path)), "onnx"
    yield "external", external, "onnx-folder"


def gguf_files(quick):
    import gguf
    import numpy as np

    def write(path):
        writer = gguf.GGUFWriter(str(path), "llama")
        writer.add_name("tiny")
        writer.add_context_length(128)
        writer.add_token_list([f"token{i}" for i in range(100)])
        writer.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
        writer.add_tensor("token_embd.weight", np.zeros((8, 8), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    yield "tiny.gguf", write, "gguf"


def safetensors_files(quick):
    import numpy as np
    import torch
    from safetensors import numpy as safe_numpy, torch as safe_torch
    kinds = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.uint8, torch.bool,
             torch.float8_e4m3fn)
    tensors = {f"{index}.{kind}": torch.zeros(3, 5).to(kind) for index, kind in enumerate(kinds)}
    yield "torch.safetensors", lambda path: safe_torch.save_file({**tensors, "empty": torch.zeros(0, 3),
                                                                  "one": torch.tensor(1.0)}, path,
                                                                 metadata={"format": "pt",
                                                                           "note": '{"a": "\u00e9"}'}), "safetensors"
    yield "numpy.safetensors", lambda path: safe_numpy.save_file({"a": np.zeros(3), "b": np.ones((2, 2), np.int32)},
                                                                 path), "safetensors"
    yield "none.safetensors", lambda path: safe_torch.save_file({}, path), "safetensors"


def datasets_files(quick):
    import datasets
    made = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]})
    yield "saved", lambda path: made.save_to_disk(str(path)), "datasets"
    yield "table.parquet", lambda path: made.to_parquet(str(path)), "parquet"
    yield "rows.jsonl", lambda path: made.to_json(str(path)), "bytes"


def other_picklers_files(quick):
    import cloudpickle
    import collections
    import datetime
    import dill
    import numpy as np
    from torch import nn
    values = {"plain": {"a": [1, 2.5, "x"], "when": datetime.datetime(2020, 1, 2)}, "array": np.arange(4.0),
              "module": nn.Linear(2, 2),
              "ordered": collections.OrderedDict(a=1), "counter": collections.Counter("abba"), "function": np.mean}
    for name, value in values.items():
        yield f"{name}.dill.pkl", lambda path, value=value: path.write_bytes(dill.dumps(value)), "dill"
        yield f"{name}.cloud.pkl", lambda path, value=value: path.write_bytes(cloudpickle.dumps(value)), "pickle"
    yield "lambda.dill.pkl", lambda path: path.write_bytes(dill.dumps(lambda x: x + 1, recurse=True)), "dill"
    yield "lambda.cloud.pkl", lambda path: path.write_bytes(cloudpickle.dumps(lambda x: x + 1)), "pickle"


# --- TensorFlow

def tensorflow_files(quick):
    import tensorflow as tf
    text = tf.TensorSpec([None], tf.string)

    def vocabulary(folder):
        path = folder.parent / "words.txt"
        path.write_text("a\nb\n")
        return tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(str(path), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
                                          tf.lookup.TextFileIndex.LINE_NUMBER), -1)

    class Module(tf.Module):
        def __init__(self, folder):
            self.weight = tf.Variable(tf.ones([300, 300]))
            self.large = tf.random.normal([200, 200])
            self.table = vocabulary(folder)

        @tf.function(input_signature=[text])
        def look_up(self, words):
            return tf.cast(self.table.lookup(words), tf.float32) + tf.reduce_sum(self.large) + self.weight[0, 0]

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def loop(self, value):
            for step in tf.data.Dataset.range(4).map(lambda step: step + 1).batch(2):
                value += tf.cast(tf.reduce_sum(step), tf.float32) if value < 9 else tf.constant(1.0)
            return value

        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
        def image(self, data):
            return tf.image.resize(tf.io.decode_png(data, 3), [2, 2])

    def whole(folder):
        module = Module(folder)
        signatures = {"look_up": module.look_up, "loop": module.loop, "image": module.image}
        tf.saved_model.save(module, str(folder), signatures)

    def again(folder):
        tf.saved_model.save(tf.saved_model.load(str(folder.parent / "module")), str(folder))

    def session(folder):
        v1 = tf.compat.v1
        with tf.Graph().as_default() as graph, v1.Session(graph=graph) as running:
            x = v1.placeholder(tf.float32, [None, 2], name="x")
            y = tf.matmul(x, v1.get_variable("w", [2, 1]))
            found = vocabulary(folder).lookup(tf.constant(["a"]))
            running.run([v1.global_variables_initializer(), v1.tables_initializer()])
            builder = v1.saved_model.Builder(str(folder))
            builder.add_meta_graph_and_variables(
                running, ["serve"], {"call": v1.saved_model.predict_signature_def({"x": x}, {"y": y, "found": found})},
                assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS), main_op=v1.tables_initializer())
            builder.save()
            frozen = v1.graph_util.convert_variables_to_constants(running, graph.as_graph_def(), [y.op.name])
            (folder / "frozen.pb").write_bytes(frozen.SerializeToString())

    def old_checkpoint(folder):
        v1 = tf.compat.v1
        with tf.Graph().as_default(), v1.Session() as running:
            v1.get_variable("w", [2, 1])
            running.run(v1.global_variables_initializer())
            v1.train.Saver().save(running, str(folder / "model"))

    yield "module", whole, "saved-model"
    yield "module_again", again, "saved-model"
    yield "session", session, "tensorflow-session"
    yield "old_checkpoint", old_checkpoint, "tensorflow-meta"
    yield "checkpoint", lambda path: tf.train.Checkpoint(value=tf.Variable([1.0, 2.0])).write(str(path / "c")), \
        "checkpoint"


# --- Writing, and reading back

def sections():
    return {name[:-len("_files")]: function for name, function in globals().items()
            if name.endswith("_files") and name != "torchscript_files"}


def write(folder, wanted, quick):
    index = {}
    for section, function in sections().items():
        if wanted and section not in wanted:
            continue
        (folder / section).mkdir(parents=True, exist_ok=True)
        for name, make, loader in function(quick):
            path = folder / section / name
            try:
                make(path)
            except Exception as error:
                raise RuntimeError(f"{section}/{name} cannot be written") from error
            index[f"{section}/{name}"] = loader
    (folder / "index.json").write_text(json.dumps(index, indent=0))


def skops_load(path):
    import skops.io
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


def keras_json(path):
    import keras
    return keras.models.model_from_json(path.read_text())


def folder_of_torch(path):
    import torch
    return [torch.load(file, weights_only=False) for file in path.rglob("*") if file.suffix in (".bin", ".pkl", ".pt")]


def tensorflow_session(path):
    import tensorflow as tf
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as running:
        signature = v1.saved_model.load(running, ["serve"], str(path)).signature_def["call"]
        running.run([output.name for output in signature.outputs.values()], {signature.inputs["x"].name: [[1, 2]]})
        tf.import_graph_def(v1.GraphDef.FromString((path / "frozen.pb").read_bytes()))


def tensorflow_meta(path):
    import tensorflow as tf
    with tf.Graph().as_default(), tf.compat.v1.Session() as running:
        tf.compat.v1.train.import_meta_graph(str(path / "model.meta")).restore(running, str(path / "model"))


def saved_model(path):
    import tensorflow as tf
    model = tf.saved_model.load(str(path))
    image = tf.io.encode_png(tf.zeros([2, 2, 3], tf.uint8))
    return [model.look_up(["a", "c"]), model.loop(1.0), model.image(image)]


def library(text):
    """"torch.load" as a function, imported when it is first called."""
    def call(*arguments, **options):
        parts = text.split(".")
        depth = next(depth for depth in range(len(parts) - 1, 0, -1) if importable(".".join(parts[:depth])))
        return functools.reduce(getattr, parts[depth:],
                                importlib.import_module(".".join(parts[:depth])))(*arguments, **options)
    return call


def importable(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


LOADERS = {
    "bytes": lambda path: path.read_bytes(),
    "pickle": lambda path: pickle.load(path.open("rb")),
    "torch": lambda path: library("torch.load")(path, weights_only=False),
    "torch-folder": folder_of_torch,
    "jit": lambda path: library("torch.jit.load")(str(path)),
    "pt2": lambda path: library("torch.export.load")(path),
    "package": lambda path: library("torch.package.PackageImporter")(str(path)).load_pickle("model", "model.pkl"),
    "numpy": lambda path: [library("numpy.load")(path, allow_pickle=True)[name] for name in (
        ("arr_0",) if path.suffix == ".npz" else (...,))],
    "pandas": lambda path: library("pandas.read_pickle")(path),
    "joblib": lambda path: library("joblib.load")(path),
    "skops": skops_load,
    "dill": lambda path: library("dill.load")(path.open("rb")),
    "xgboost": lambda path: library("xgboost.Booster")(model_file=str(path)),
    "lightgbm": lambda path: library("lightgbm.Booster")(model_file=str(path)),
    "keras": lambda path: library("keras.models.load_model")(path),
    "keras-json": keras_json,
    "h5py": lambda path: list(library("h5py.File")(path)),
    "causal-lm": lambda path: library("transformers.AutoModelForCausalLM.from_pretrained")(path),
    "model": lambda path: library("transformers.AutoModel.from_pretrained")(path),
    "peft": lambda path: library("peft.AutoPeftModelForCausalLM.from_pretrained")(path),
    "diffusers": lambda path: library("diffusers.DDPMPipeline.from_pretrained")(path),
    "sentence-transformers": lambda path: library("sentence_transformers.SentenceTransformer")(
        str(path / "model"), device="cpu").encode(["a"]),
    "saved-model": saved_model,
    "tensorflow-session": tensorflow_session,
    "tensorflow-meta": tensorflow_meta,
    "checkpoint": lambda path: library("tensorflow.train.load_checkpoint")(str(path / "c")).get_variable_to_shape_map(),
    "onnx": lambda path: library("onnx.load")(str(path)),
    "onnx-folder": lambda path: library("onnx.load")(str(path / "model.onnx")),
    "gguf": lambda path: library("gguf.GGUFReader")(str(path)),
    "safetensors": lambda path: library("safetensors.numpy.load_file")(path) if path.name[0] == "n"
    else library("safetensors.torch.load_file")(path),
    "datasets": lambda path: library("datasets.load_from_disk")(str(path))[0],
    "parquet": lambda path: library("datasets.Dataset.from_parquet")(str(path), cache_dir=str(path) + ".cache")[0],
}


def denied(error):
    """Is this the guard's doing? Native loaders have errors of their own for EACCES."""
    while error is not None:
        if isinstance(error, PermissionError) or "Permission denied" in str(error) or "guard: " in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def load(folder):
    loaded = 0
    for name, loader in json.loads((folder / "index.json").read_text()).items():
        try:
            LOADERS[loader](folder / name)
            loaded += 1
        except BaseException as error:
            word = "refused" if denied(error) else "failed"
            print(f"{word} {name}: {type(error).__name__}: {' '.join(str(error).split())}"[:300], flush=True)
    print(f"loaded {loaded}", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    if sys.argv[1] == "--load":
        load(Path(sys.argv[2]))
    else:
        words = sys.argv[2:]
        write(Path(sys.argv[1]), [word for word in words if word != "--quick"], "--quick" in words)

"""Whole frameworks as people use them, processes and all: not one denial, not one word on stderr."""
import pytest


def test_torch_processes(scene):
    """Collectives that pickle objects, data parallel training, over gloo on loopback."""
    script = scene.write("collectives.py", """
        import datetime, enum, socket
        import torch
        import torch.distributed as dist
        import torch.multiprocessing as mp

        class Item:
            def __init__(self, value):
                self.value = value

        class Kind(enum.Enum):
            A = 1

        def work(rank, port):
            dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
            mine = {"item": Item(rank), "kind": Kind.A, "tensor": torch.ones(2) * rank,
                    "day": datetime.date(2024, 1, 2)}
            everybodys, first = [None] * 2, [Item(5)] if rank == 0 else [None]
            dist.all_gather_object(everybodys, mine)
            dist.broadcast_object_list(first, src=0)
            model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
            model(torch.ones(1, 2)).sum().backward()
            if rank == 1:
                print([each["item"].value for each in everybodys], everybodys[0]["tensor"].tolist(), first[0].value,
                      flush=True)
            dist.barrier()
            dist.destroy_process_group()

        if __name__ == "__main__":
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            mp.spawn(work, (port,), 2)
    """)
    scene.benign(script)


def test_distributed_checkpoints(scene):
    """Objects and tensors of a rank lie in one file, an archive each; and state of a model sharded by FSDP."""
    script = scene.write("checkpoints.py", """
        import warnings
        import torch
        import torch.distributed as dist
        import torch.distributed.checkpoint as dcp
        from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
        from torch.distributed.checkpoint.state_dict import get_state_dict
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        warnings.simplefilter("ignore")

        class Progress:
            def __init__(self, step):
                self.step = step

        if __name__ == "__main__":
            dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
            model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 3))
            fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
            optimizer = torch.optim.AdamW(model.parameters())
            model(torch.ones(2, 4)).sum().backward()
            optimizer.step()
            weights, moments = get_state_dict(model, optimizer)
            dcp.save({"model": weights, "optimizer": moments, "progress": Progress(3)}, checkpoint_id="checkpoint")
            state = {"model": weights, "optimizer": moments, "progress": None}
            dcp.load(state, checkpoint_id="checkpoint")
            torch.save(weights, "sharded.pt")
            sharded = torch.load("sharded.pt", weights_only=False)
            print(state["progress"].step, type(sharded["0.weight"]).__name__, flush=True)
            dist.destroy_process_group()
            dcp_to_torch_save("checkpoint", "whole.pt")
            print(sorted(torch.load("whole.pt", weights_only=False)))
    """)
    without, _ = scene.benign(script)
    assert without.stdout == "3 DTensor\n['model', 'optimizer', 'progress']\n"
    scan = scene.guard("scan", "checkpoint", "sharded.pt")
    assert scan.returncode == 0 and "__main__.Progress" in scan.stdout and scan.stdout.count("warn:") == 1, str(scan)


def test_torchrun(scene):
    scene.write("worker.py", """
        import torch
        import torch.distributed as dist

        dist.init_process_group("gloo")
        rank, everybodys = dist.get_rank(), [None] * 2
        dist.all_gather_object(everybodys, {"rank": rank})
        torch.save({"w": torch.ones(1)}, f"checkpoint-{rank}.pt")
        print(rank, torch.load(f"checkpoint-{rank}.pt")["w"].item(), everybodys, flush=True) if rank == 0 else None
        dist.destroy_process_group()
    """)
    script = scene.write("start.py", """
        import subprocess, sys
        run = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr",
                              "127.0.0.1",
                              "--nproc-per-node", "2", "worker.py"], capture_output=True, text=True)
        print(run.returncode, run.stdout, "guard:" in run.stderr)
    """)
    without, _ = scene.benign(script)
    assert without.stdout.startswith("0 0 1.0 [{'rank': 0}, {'rank': 1}]"), str(without)


def test_hugging_face(scene, models):
    """pipeline, generate, chat templates, diffusers, sentence-transformers, TorchScript, exported programs."""
    script = scene.write("models.py", f"""
        import warnings
        warnings.simplefilter("ignore")
        import sys
        import torch
        sys.path.insert(0, {str(models.parent)!r})
        from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
        from sentence_transformers import SentenceTransformer, models as parts
        from transformers import (AutoModelForCausalLM, AutoTokenizer, BertConfig, BertModel, GenerationConfig, logging,
                                  pipeline)
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        base, adapter = {str(models / "base")!r}, {str(models / "adapter")!r}

        tokenizer = AutoTokenizer.from_pretrained(base)
        tokenizer.chat_template = ("{{% for m in messages %}}{{{{ m['role'] + ': ' + m['content'] }}}}{{% endfor %}}"
                                   "{{% if add_generation_prompt %}}{{{{ 'assistant:' }}}}{{% endif %}}")
        tokenizer.save_pretrained("chat")
        chat = [{{"role": "user", "content": "hi"}}]
        print(AutoTokenizer.from_pretrained("chat").apply_chat_template(chat, tokenize=False,
                                                                         add_generation_prompt=True))
        settings = GenerationConfig(max_new_tokens=3, do_sample=False, pad_token_id=tokenizer.pad_token_id)
        print(len(pipeline("text-generation", base)("the guard", generation_config=settings)))
        model = AutoModelForCausalLM.from_pretrained(adapter)
        print(model.generate(**tokenizer("the guard", return_tensors="pt"), generation_config=settings).shape)

        torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save("traced.pt")
        print(torch.jit.load("traced.pt")(torch.ones(1, 2)).shape)
        torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), "exported.pt2")
        print(torch.export.load("exported.pt2").module()(torch.ones(1, 2)).shape)

        net = UNet2DModel(sample_size=8, block_out_channels=(32,), down_block_types=("DownBlock2D",),
                          up_block_types=("UpBlock2D",), layers_per_block=1)
        DDPMPipeline(net, DDPMScheduler(num_train_timesteps=4)).save_pretrained("ddpm")
        images = DDPMPipeline.from_pretrained("ddpm")
        images.set_progress_bar_config(disable=True)
        print(images(num_inference_steps=2, output_type="np").images.shape)

        BertModel(BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                             intermediate_size=16)).save_pretrained("bert")
        tokenizer.save_pretrained("bert")
        words = parts.Transformer("bert")
        SentenceTransformer(modules=[words, parts.Pooling(16), parts.Dense(16, 8)]).save("sentences")
        print(SentenceTransformer("sentences").encode(["the guard"], show_progress_bar=False).shape, flush=True)
    """)
    scene.benign(script)


def test_datasets(scene):
    """map and filter with processes (dill through multiprocess), arrow, parquet and JSON files, a DataLoader on top."""
    script = scene.write("rows.py", """
        import datasets, torch
        datasets.disable_progress_bars()

        class Longer:
            def __init__(self):
                self.more = 3

            def __call__(self, row):
                return {"length": len(row["text"]) + self.more}

        def main():
            rows = datasets.Dataset.from_dict({"text": ["a", "bb", "ccc"] * 20, "number": list(range(60))})
            rows = rows.map(Longer(), num_proc=2).map(lambda row: {"twice": row["length"] * 2}, num_proc=2)
            rows = rows.filter(lambda row: row["twice"] > 8, num_proc=2)
            rows.save_to_disk("saved")
            rows = datasets.load_from_disk("saved")
            print(len(rows), rows[0])
            rows.to_parquet("rows.parquet")
            rows.to_json("rows.json")
            for kind, name in ("parquet", "rows.parquet"), ("json", "rows.json"):
                print(len(datasets.load_dataset(kind, data_files=name, split="train", cache_dir="cache")))
            loader = torch.utils.data.DataLoader(rows.with_format("torch"), num_workers=2, batch_size=4)
            print(next(iter(loader))["length"].tolist(), flush=True)

        if __name__ == "__main__":
            main()
    """)
    scene.benign(script)


def test_scikit_learn_jobs(scene):
    script = scene.write("search.py", """
        import warnings
        warnings.simplefilter("ignore")
        import joblib
        import numpy as np
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import GridSearchCV, cross_val_score
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer

        def twice(x):
            return x * 2

        def main():
            X = np.random.RandomState(0).rand(60, 4)
            y = (X[:, 0] > .5).astype(int)
            pipeline = make_pipeline(FunctionTransformer(twice), RandomForestClassifier(5, n_jobs=2, random_state=0))
            search = GridSearchCV(pipeline, {"randomforestclassifier__max_depth": [1, 2]}, n_jobs=2, cv=3).fit(X, y)
            print(search.best_params_, cross_val_score(search.best_estimator_, X, y, n_jobs=2).round(2).tolist())
            large = np.ones((2000, 1000))  # handed over as a memory map
            summed = joblib.delayed(lambda a, i: float(a.sum()) + i)
            print(joblib.Parallel(n_jobs=2)(summed(large, i) for i in range(3)))
            with joblib.parallel_backend("multiprocessing", n_jobs=2):
                print(joblib.Parallel()(joblib.delayed(twice)(i) for i in range(3)), flush=True)

        if __name__ == "__main__":
            main()
    """)
    scene.benign(script)


def test_boosters_and_keras(scene):
    script = scene.write("boosters.py", """
        import logging, os, pickle, warnings
        os.environ["KERAS_BACKEND"] = "torch"
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        import joblib
        import keras
        import lightgbm
        import numpy as np
        import xgboost

        X = np.random.RandomState(0).rand(40, 4)
        y = (X[:, 0] > .5).astype(int)
        model = xgboost.XGBClassifier(n_estimators=3).fit(X, y)
        for name in ("model.json", "model.ubj"):
            model.save_model(name)
            again = xgboost.XGBClassifier()
            again.load_model(name)
            print(name, again.predict(X[:2]).tolist())
        light = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, min_child_samples=2).fit(X, y)
        light.booster_.save_model("light.txt")
        print(lightgbm.Booster(model_file="light.txt").predict(X[:2]).round(2).tolist())
        for each in model, light:
            joblib.dump(each, "model.joblib")
            print(type(joblib.load("model.joblib")).__name__)
            with open("model.pkl", "wb") as file:
                pickle.dump(each, file)
            with open("model.pkl", "rb") as file:
                print(pickle.load(file).predict(X[:2]).tolist())
        net = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, activation="relu"),
                                keras.layers.Dense(1)])
        net.compile("adam", keras.losses.MeanSquaredError())
        net.fit(X, y, verbose=0, callbacks=[keras.callbacks.ModelCheckpoint("checkpoint.keras"),
                                            keras.callbacks.BackupAndRestore("backup")])
        for name in ("net.keras", "net.h5", "checkpoint.keras"):
            net.save(name) if name != "checkpoint.keras" else None
            print(name, keras.models.load_model(name).predict(X[:1], verbose=0).shape)
        net.save_weights("net.weights.h5")
        net.load_weights("net.weights.h5")
        print("done", flush=True)
    """)
    scene.benign(script)


def test_tensorflow(scene):
    script = scene.write("life.py", """
        import os
        os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
        import keras
        import numpy as np
        import tensorflow as tf
        tf.get_logger().setLevel("ERROR")

        keras.utils.set_random_seed(0)
        os.makedirs("data", exist_ok=True)
        for i in range(4):
            image = tf.fill([8, 8, 1], tf.constant(i * 60, tf.uint8))
            tf.io.write_file(f"data/{i}.png", tf.io.encode_png(image))
        with tf.io.TFRecordWriter("data/labels.tfrecord") as writer:
            for i in range(4):
                writer.write(tf.io.serialize_tensor(tf.constant(i % 2)).numpy())
        images = tf.data.Dataset.list_files("data/*.png", shuffle=False).map(
            lambda path: tf.cast(tf.io.decode_png(tf.io.read_file(path), 1), tf.float32) / 255, tf.data.AUTOTUNE)
        labels = tf.data.TFRecordDataset("data/labels.tfrecord").map(
            lambda text: tf.ensure_shape(tf.io.parse_tensor(text, tf.int32), []))
        data = tf.data.Dataset.zip((images, labels)).cache().batch(2).prefetch(tf.data.AUTOTUNE)

        model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten(),
                                  keras.layers.Dropout(.1), keras.layers.Dense(2, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(data, epochs=2, verbose=0, validation_data=data, callbacks=[
            keras.callbacks.TensorBoard("logs"), keras.callbacks.ModelCheckpoint("best.keras", save_best_only=True),
            keras.callbacks.BackupAndRestore("backup"), keras.callbacks.CSVLogger("epochs.csv")])
        model.save("model.keras")
        model.save_weights("model.weights.h5")
        model.export("exported", verbose=False)
        x = np.zeros((1, 8, 8, 1), np.float32)
        first = model.predict(x, verbose=0)
        exported = tf.saved_model.load("exported")
        layer = keras.layers.TFSMLayer("exported", call_endpoint="serving_default")
        for again in (keras.models.load_model("model.keras").predict(x, verbose=0), exported.serve(x),
                      exported.signatures["serving_default"](tf.constant(x))["output_0"], layer(x)["output_0"]):
            print(np.allclose(first, again, atol=1e-5))
        writer = tf.summary.create_file_writer("logs/own")

        @tf.function
        def step(value):
            with writer.as_default(step=1):
                tf.summary.scalar("value", value)
            return value * 2

        print(float(step(tf.constant(2.0))), len(list(data)), "own" in os.listdir("logs"))
        checkpoint = tf.train.Checkpoint(model=model)
        tf.train.CheckpointManager(checkpoint, "checkpoints", 2).save()
        checkpoint.restore(tf.train.latest_checkpoint("checkpoints"))
        lite = tf.lite.TFLiteConverter.from_saved_model("exported").convert()
        with open("model.tflite", "wb") as file:
            file.write(lite)
        interpreter = tf.lite.Interpreter("model.tflite")
        interpreter.allocate_tensors()
        print(len(interpreter.get_input_details()), flush=True)
    """)
    scene.benign(script)


def test_dask(scene):
    script = scene.write("cluster.py", """
        import dask.array
        import numpy as np
        from dask.distributed import Client, LocalCluster
        from sklearn.linear_model import LinearRegression

        class Thing:
            def __init__(self, value):
                self.value = value

        def square(x):
            return x * x

        def main():
            cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
            with cluster, Client(cluster) as client:
                print(client.gather(client.map(square, range(4))),
                      client.submit(lambda t: t.value + 1, Thing(3)).result())
                print(float(dask.array.ones((100, 100), chunks=50).sum().compute()))
                model = LinearRegression().fit(np.ones((3, 1)), np.ones(3))
                print(client.submit(model.predict, np.ones((2, 1))).result().tolist(), flush=True)

        if __name__ == "__main__":
            main()
    """)
    scene.benign(script)


def test_ray(scene):
    script = scene.write("actors.py", """
        import os
        import ray
        import torch

        class Thing:
            def __init__(self, value):
                self.value = value

        @ray.remote
        def double(thing):
            return thing.value * 2, (torch.ones(2) * thing.value).tolist()

        @ray.remote
        def load(path):
            return torch.load(path)["w"].tolist()

        @ray.remote
        class Model:
            def __init__(self):
                self.net = torch.nn.Linear(2, 2)

            def shape(self, x):
                return list(self.net(x).shape)

        torch.save({"w": torch.ones(2)}, "weights.pt")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
                 _node_ip_address="127.0.0.1")
        print(ray.get([double.remote(Thing(i)) for i in range(3)]), ray.get(load.remote(os.path.abspath("weights.pt"))))
        print(ray.get(Model.remote().shape.remote(torch.ones(1, 2))), flush=True)
        ray.shutdown()
    """)
    scene.benign(script)


def test_spark(scene):
    script = scene.write("session.py", """
        import os, sys
        os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1", PYTHONWARNINGS="ignore")
        from pyspark.sql import SparkSession
        from pyspark.sql.functions import udf

        class Thing:
            def __init__(self, value):
                self.value = value

        def main():
            spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
                     .config("spark.driver.bindAddress", "127.0.0.1").config("spark.ui.showConsoleProgress", "false")
                     .getOrCreate())
            context = spark.sparkContext
            context.setLogLevel("ERROR")
            print(context.parallelize(range(6), 2).map(lambda x: x * x).collect())
            print(sum(context.parallelize([1, 2, 3], 2).map(lambda x: Thing(x).value).collect()))
            shared = context.broadcast({"a": 3})
            print(context.parallelize([1], 1).map(lambda x: shared.value["a"] + x).collect())
            print([row[0] for row in spark.range(3).select(udf(lambda x: x + 1, "long")("id")).collect()], flush=True)
            spark.stop()

        if __name__ == "__main__":
            main()
    """)
    scene.benign(script)


SERVE = """
    import json, os, signal, socket, subprocess, sys, time, urllib.request

    def free_port():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return free.getsockname()[1]

    def get(port, path):
        for _ in range(400):
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20).read().decode()
            except OSError:
                time.sleep(0.1)

    def served(words, ask):
        process = subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.DEVNULL)
        try:
            ask()
        finally:
            process.send_signal(signal.SIGTERM)
            print("ended", process.wait(60), flush=True)
"""

APPLICATION = """
    import joblib
    import torch
    from fastapi import FastAPI

    app = FastAPI()
    model = joblib.load("FOLDER/regression.joblib")
    net = torch.load("FOLDER/net.pt", weights_only=False)

    @app.get("/predict")
    def predict(x: float):
        return {"model": round(float(model.predict([[x]])[0]), 3), "net": net(torch.ones(1, 1)).shape}
"""


@pytest.fixture
def served_models(scene):
    """A regression and a net, made by the libraries: in "models", and beside the application."""
    make = scene.write("make.py", """
        import os
        import joblib
        import numpy as np
        import torch
        from sklearn.linear_model import LinearRegression

        for folder in "models", ".":
            os.makedirs(folder, exist_ok=True)
            X = np.arange(4.0).reshape(-1, 1)
            joblib.dump(LinearRegression().fit(X, X[:, 0]), folder + "/regression.joblib")
            torch.save(torch.nn.Linear(1, 1), folder + "/net.pt")
    """)
    made = scene.run_python(make)
    assert made.returncode == 0, str(made)


@pytest.mark.parametrize("folder", ["models", "."])
def test_fastapi(scene, served_models, folder):
    """Under uvicorn and gunicorn. ".": the weights lie beside the application, which is still the application."""
    scene.write("application.py", APPLICATION.replace("FOLDER", folder))
    script = scene.write("serve.py", SERVE + """
    for server in "uvicorn", "gunicorn":
        port = free_port()
        words = (["uvicorn", "application:app", "--host", "127.0.0.1", "--log-level", "error", "--port", str(port)]
                 if server == "uvicorn" else
                 ["gunicorn", "application:app", "-w", "2", "-k", "asgi", "--log-level", "error", "-b",
                  f"127.0.0.1:{port}"])
        served(words, lambda: print(server, get(port, "/predict?x=2")))
    """)
    without, _ = scene.benign(script)
    assert without.stdout.count('"model":2.0') == 2, str(without)


def test_streamlit(scene, served_models):
    """A page is asked for as a browser does, over its web socket, and what the script wrote comes back."""
    scene.write("page.py", """
        import joblib
        import streamlit as st

        @st.cache_resource
        def load():
            return joblib.load("models/regression.joblib")

        @st.cache_data
        def rows():
            return {"a": [1, 2]}

        st.write("predicted", round(float(load().predict([[2.0]])[0]), 3))
        st.dataframe(rows())
    """)
    script = scene.write("serve.py", SERVE + """
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.sync.client import connect

    port = free_port()

    def ask():
        print(get(port, "/_stcore/health"))
        for _ in "first", "cached":
            with connect(f"ws://127.0.0.1:{port}/_stcore/stream") as socket:
                back, written, message = BackMsg(), "", ForwardMsg()
                back.rerun_script.query_string = ""
                socket.send(back.SerializeToString())
                while message.WhichOneof("type") != "script_finished":
                    message = ForwardMsg()
                    message.ParseFromString(socket.recv(timeout=60))
                    written += str(message)
                print("predicted" in written, "2.0" in written, "Error" in written)

    served(["streamlit", "run", "page.py", "--server.port", str(port), "--server.address", "127.0.0.1",
            "--server.headless", "true", "--browser.gatherUsageStats", "false"], ask)
    """)
    without, _ = scene.benign(script)
    assert without.stdout.count("True True False") == 2, str(without)


def test_jupyter_completion(scene):
    """jedi and parso pickle what they know of modules into their cache, and read it back."""
    script = scene.write("complete.py", """
        from jupyter_client.manager import start_new_kernel

        manager, client = start_new_kernel(kernel_name="python3")

        def reply(message):
            while True:
                answer = client.get_shell_msg(timeout=60)
                if answer["parent_header"].get("msg_id") == message:
                    return answer["content"]

        try:
            client.execute_interactive("import torch, numpy as np, pandas as pd\\nx = np.ones(3)", timeout=120)
            for code in "torch.nn.Lin", "x.me", "pd.Data", "np.lin", "import json; json.du":
                print(code, len(reply(client.complete(code, len(code)))["matches"]) > 0)
            print(reply(client.inspect("torch.load", 8))["status"], flush=True)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
    """)
    for _ in "a cold cache", "one that an earlier process wrote":
        without, _ = scene.benign(script)
        assert "False" not in without.stdout, str(without)

"""TensorFlow's graphs when they run: operators of a loaded model act in threads without Python, and a function of the
program's own runs there in the same way."""
import textwrap

import pytest

from conftest import AttackCases, BenignCases, function_name
from inference_cases import check, make, marker, run_cases

ENV = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}

MAKE = """
    import os, shutil, tensorflow as tf

    TEXT = tf.TensorSpec([], tf.string)

    class Reads(tf.Module):
        def __init__(self):
            self.weight = tf.Variable(2.0)
            self.label = tf.saved_model.Asset("labels")
        @tf.function(input_signature=[TEXT])
        def read(self, path):
            return {"text": tf.io.read_file(path)}
        @tf.function(input_signature=[])
        def label_of(self):
            return {"text": tf.io.read_file(self.label.asset_path)}
        @tf.function(input_signature=[TEXT])
        def glob(self, path):
            return {"text": tf.io.read_file(tf.io.matching_files(tf.strings.join([path, "*"]))[0])}
        @tf.function(input_signature=[TEXT])
        def in_map(self, path):
            text = tf.constant("")
            for part in tf.data.Dataset.from_tensors(path).map(tf.io.read_file, num_parallel_calls=2).prefetch(1):
                text += part
            return {"text": text}

    class Acts(Reads):
        @tf.function(input_signature=[TEXT])
        def lines(self, path):
            text = tf.constant("")
            for line in tf.data.TextLineDataset(path):
                text += line
            return {"text": text}
        @tf.function(input_signature=[TEXT])
        def comma(self, path):
            text = tf.constant("")
            for line, in tf.data.experimental.CsvDataset(path, [tf.string]).prefetch(1):
                text += line
            return {"text": text}
        @tf.function(input_signature=[TEXT])
        def write(self, path):
            tf.io.write_file(path, "x")
            return {"done": tf.constant(1)}
        @tf.function(input_signature=[TEXT])
        def save(self, path):
            tf.raw_ops.Save(filename=path, tensor_names=["x"], data=[self.weight.read_value()])
            return {"done": tf.constant(1)}
        @tf.function(input_signature=[TEXT])
        def folder(self, path):
            tf.io.write_file(tf.strings.join([path, "/x"]), "x")
            return {"done": tf.constant(1)}

    open("labels", "w").write("secret")
    for kind, names in (Reads, "read label_of glob in_map"), (Acts, "read lines comma write save folder glob in_map"):
        module = kind()
        tf.saved_model.save(module, f"models/{kind.__name__}", {name: getattr(module, name) for name in names.split()})

    class Plain(tf.Module):
        def __init__(self):
            self.weight = tf.Variable(2.0)
        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
        def call(self, x):
            return {"y": self.weight * x}

    plain = Plain()
    tf.saved_model.save(plain, "models/Plain", {"call": plain.call})

    # The graph says where the vocabulary lay; a loader of TensorFlow 1 sets that only while it initialises tables itself.
    v1, path = tf.compat.v1, os.path.abspath("secret_case_reads_a_vocabulary_in_a_session")
    open(path, "w").write("secret")
    with tf.Graph().as_default(), v1.Session() as session:
        table = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
                                          tf.lookup.TextFileIndex.LINE_NUMBER), -1)
        with tf.control_dependencies(v1.get_collection(v1.GraphKeys.TABLE_INITIALIZERS)):
            found = table.lookup(tf.constant("secret"))
        builder = v1.saved_model.Builder("models/Vocabulary")
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"find": v1.saved_model.build_signature_def({}, {
                "found": v1.saved_model.build_tensor_info(found)})},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS))
        builder.save()

    # The same model with its fields in other orders, and as text: TensorFlow finds the file by its name.
    from google.protobuf import text_format
    from tensorflow.core.protobuf import saved_model_pb2

    def field(number, content):
        sizes, size = [number << 3 | 2, len(content)], b""
        for value in sizes:
            while value > 127:
                size, value = size + bytes([value & 127 | 128]), value >> 7
            size += bytes([value])
        return size + content

    def one(message, name):
        part = type(message)()
        getattr(part, name).MergeFrom(getattr(message, name))
        return part.SerializeToString()

    for kind in "Acts", "Plain":
        model = saved_model_pb2.SavedModel.FromString(open(f"models/{kind}/saved_model.pb", "rb").read())
        meta = model.meta_graphs[0]
        parts = [descriptor.name for descriptor, _ in meta.ListFields()]
        backwards = b"".join(one(meta, name) for name in reversed(parts) if name != "stripped_default_attrs")
        library, graph = one(meta.graph_def, "library"), meta.graph_def
        shapes = {"version_last/saved_model.pb": field(2, meta.SerializeToString()) + b"\x08\x01",
                  "backwards/saved_model.pb": b"\x08\x01" + field(2, backwards),
                  "foreign/saved_model.pb": field(99, b"A" * 9000) + model.SerializeToString(),
                  "text/saved_model.pbtxt": text_format.MessageToString(model).encode(),
                  "graph.pb": graph.SerializeToString(), "meta.pb": meta.SerializeToString()}
        graph.ClearField("library")
        shapes["library_first.pb"] = library + graph.SerializeToString()
        for name, content in shapes.items():
            path = f"shapes/{kind}/{name}"
            if "/" in name:
                shutil.copytree(f"models/{kind}", os.path.dirname(path))
                os.remove(os.path.dirname(path) + "/saved_model.pb")
            with open(path, "wb") as file:
                file.write(content)
            if "/" in name:
                tf.saved_model.load(os.path.dirname(path))
            elif "meta" in name:
                meta.ParseFromString(content)
            else:
                graph.ParseFromString(content)

    with tf.Graph().as_default() as graph:
        tf.io.write_file(tf.compat.v1.placeholder(tf.string, [], name="path"), "x", name="act")
    tf.io.write_graph(graph, "models", "frozen.pb", as_text=False)
"""
PRELUDE = """
    import os, tensorflow as tf
    os.makedirs("markers", exist_ok=True)
    os.makedirs("own", exist_ok=True)
    model = tf.saved_model.load("models/MODEL")
    print("loaded", flush=True)

    def secret(marker):
        path = os.path.abspath("secret_" + os.path.basename(marker))
        with open(path, "w") as file:
            file.write("secret")
        return path
    def leaks(call, marker):
        if call(tf.constant(secret(marker)))["text"] == b"secret":
            open(marker, "w").close()
"""
ATTACKS = {
    "reads": "leaks(model.signatures['read'], MARKER)",
    "reads, called by its method": "leaks(model.read, MARKER)",
    "reads lines": "leaks(model.signatures['lines'], MARKER)",
    "reads what matches": "leaks(model.signatures['glob'], MARKER)",
    "reads in a function of a data set": "leaks(model.signatures['in_map'], MARKER)",
    "reads by a class without a name": "leaks(model.signatures['comma'], MARKER)",
    "writes": "model.signatures['write'](tf.constant(MARKER))",
    "writes tensors": "model.signatures['save'](tf.constant(MARKER))",
    "makes a folder": "model.signatures['folder'](tf.constant(MARKER))",
    "reads as a layer": """
        import keras
        leaks(keras.layers.TFSMLayer("models/Acts", call_endpoint="read"), MARKER)""",
    "writes as a layer": """
        import keras
        keras.layers.TFSMLayer("models/Acts", call_endpoint="write")(tf.constant(MARKER))""",
    "writes in a session": """
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            signature = tf.compat.v1.saved_model.load(session, ["serve"], "models/Acts").signature_def["write"]
            session.run(signature.outputs["done"].name, {signature.inputs["path"].name: MARKER})""",
    "writes in a session on the caller's thread": """
        config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=-1)
        with tf.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
            signature = tf.compat.v1.saved_model.load(session, ["serve"], "models/Acts").signature_def["write"]
            session.run(signature.outputs["done"].name, {signature.inputs["path"].name: MARKER})""",
    "reads a vocabulary in a session": """
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            signature = tf.compat.v1.saved_model.load(session, ["serve"], "models/Vocabulary").signature_def["find"]
            if session.run(signature.outputs["found"].name) == 0:
                open(MARKER, "w").close()""",
    "a graph in a file writes": """
        graph = tf.compat.v1.GraphDef.FromString(open("models/frozen.pb", "rb").read())
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.import_graph_def(graph, name="")
            session.run("act", {"path:0": MARKER})""",
}


@pytest.fixture(scope="module")
def made(make_scene):
    scene = make_scene("tensorflow")
    make(scene, "make.py", MAKE, env=ENV)
    return scene


@pytest.fixture(scope="module")
def attacks(made):
    cases = {name: textwrap.dedent(body).replace("MARKER", repr(marker(name))) for name, body in ATTACKS.items()}
    return run_cases(AttackCases, made, PRELUDE.replace("MODEL", "Acts"), cases, env=ENV)


@pytest.mark.parametrize("name", ATTACKS)
def test_graph(attacks, name):
    """The model loads; at the call TensorFlow gets EACCES, and its caller TensorFlow's own error. No Python runs where
    it happens: the record names the file that holds the operator."""
    check(attacks, name, "graph", "read-in-graph" if "reads" in name else "write-in-load", silent=True)
    if attacks.scene.no_guard:
        return
    enforce = attacks.enforce
    assert "Error" in enforce.outcomes[name] and "loaded" in enforce.stdout, str(enforce)
    file = {"a graph in a file writes": "frozen.pb", "reads a vocabulary in a session": "Vocabulary/saved_model.pb"}
    path = str(attacks.scene.path("models") / file.get(name, "Acts/saved_model.pb"))
    denied = [record for record in enforce.denials if function_name(name) in record["name"]]
    assert path in {record["path"] for record in denied}, str(enforce)


def test_graph_at_rest(made):
    """By the default policy what writes does not load, what reads is warned of."""
    scan = made.guard("scan", made.path("models"), "--format", "text")
    assert scan.returncode == 1 and "frozen.pb" in scan.stdout and "Acts/saved_model.pb" in scan.stdout, str(scan)
    assert made.guard("scan", made.path("models/Reads"), made.path("models/Vocabulary")).returncode == 0


OPENS = """
    import pathlib
    for path in sorted(pathlib.Path("shapes").rglob("*.pb*")):
        if path.name == "fingerprint.pb":
            continue
        try:
            path.read_bytes()
        except PermissionError:
            print("denied", path)
        else:
            print("read", path)
"""


def test_graph_in_other_shapes(made):
    """What TensorFlow reads is judged, in whatever order it is written; a SavedModel as text is not inspected."""
    script = made.write("app/opens.py", OPENS)
    names = ["backwards/saved_model.pb", "foreign/saved_model.pb", "graph.pb", "library_first.pb", "meta.pb",
             "text/saved_model.pbtxt", "version_last/saved_model.pb"]
    assert made.run_python(script).stdout.splitlines() == [f"read shapes/{kind}/{name}" for kind in ("Acts", "Plain")
                                                           for name in names]
    if made.no_guard:
        return
    enforce = made.run_python(script, mode="enforce")
    assert enforce.stdout.splitlines() == [f"denied shapes/Acts/{name}" for name in names] + [
        f"{'denied' if 'text' in name else 'read'} shapes/Plain/{name}" for name in names], str(enforce)
    assert {record["rule"] for record in enforce.denials} == {"tensorflow-write", "opaque"}, str(enforce)


BENIGN = {
    "what lies in the model's own folder": """
        assert model.label_of()["text"] == model.signatures["label_of"]()["text"] == b"secret"
        assert model.read(os.path.abspath("models/Reads/fingerprint.pb"))["text"] != b"" """,
    "operators that the program calls": """
        tf.io.write_file("own/text", "x")
        assert tf.io.read_file("own/text") == tf.io.read_file(tf.constant("own/text")) == b"x"
        assert tf.raw_ops.ReadFile(filename="own/text") == b"x"
        assert tf.io.matching_files("own/te*")[0] == b"own/text" """,
    "files by Python": """
        with tf.io.gfile.GFile("own/gfile", "w") as file:
            file.write("x")
        assert open("own/gfile").read() == tf.io.gfile.GFile("own/gfile").read()""",
    "checkpoints": """
        checkpoint = tf.train.Checkpoint(value=tf.Variable(1.0))
        manager = tf.train.CheckpointManager(checkpoint, "own/checkpoints", 2)
        for _ in range(4):
            manager.save()
        checkpoint.restore(manager.latest_checkpoint).assert_consumed()""",
    "data sets of its own": """
        with tf.io.TFRecordWriter("own/records") as writer:
            writer.write(b"x")
        open("own/table.csv", "w").write("1,2\\n")
        assert list(tf.data.TFRecordDataset("own/records").map(tf.strings.length, 2).prefetch(1)) == [1]
        assert list(tf.data.experimental.CsvDataset("own/table.csv", [0, 0]).prefetch(1)) == [(1, 2)]
        assert list(tf.data.Dataset.range(3).cache("own/cache").prefetch(1)) == [0, 1, 2]""",
    "functions of its own that write": """
        writer = tf.summary.create_file_writer("own/logs")
        @tf.function
        def step(value):
            with writer.as_default(step=1):
                tf.summary.scalar("value", value)
            tf.io.write_file("own/step", tf.strings.as_string(value))
            tf.print(value, output_stream="file://" + os.path.abspath("own/printed"))
        step(tf.constant(1.0))
        writer.close()
        assert open("own/step").read() and open("own/printed").read() and os.listdir("own/logs")""",
    "Python within a function": """
        def python(path):
            with open(path.numpy().decode() + "/python", "w") as file:
                file.write("x")
            tf.io.write_file("own/python2", "x")
            return tf.io.read_file("own/python")
        assert tf.function(lambda path: tf.py_function(python, [path], tf.string))(tf.constant("own")) == b"x" """,
    "a model of its own": """
        import keras
        own = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        own.export("own/exported", verbose=False)
        own.save("own/model.keras")
        keras.models.load_model("own/model.keras")
        tf.saved_model.save(own, "own/saved")
        exported = tf.saved_model.load("own/exported")
        assert exported.serve(tf.ones([1, 2])).shape == (1, 1)
        tf.saved_model.save(model, "own/again")""",
}


@pytest.fixture(scope="module")
def benign(made):
    """A model is loaded that reads files of its choosing, by the default policy."""
    return run_cases(BenignCases, made, PRELUDE.replace("MODEL", "Reads"), BENIGN, env=ENV)


@pytest.mark.parametrize("name", BENIGN)
def test_graph_benign(benign, name):
    benign.check(name)


def test_graph_benign_whole(benign):
    benign.check_whole()

"""What real libraries do to the outside while they restore an object, each beside a twin that does it for no such
reason."""
def test_memory_mapped_arrays(scene):
    """joblib opens the file that it reads once more, to map its arrays; "r+" for changing them."""
    script = scene.write("memmap.py", """
        import joblib, numpy, os
        os.makedirs("model", exist_ok=True)
        joblib.dump({"a": numpy.arange(5000.0)}, "model/arrays.joblib")
        for mode in None, "r", "r+", "c", "w+":
            array = joblib.load("model/arrays.joblib", mmap_mode=mode)["a"]
            print(mode, type(array).__name__, array.sum())
            if mode == "r+":
                array[0] = 7
                array.flush()
                print(joblib.load("model/arrays.joblib")["a"][0])
    """)
    scene.benign(script)


def test_another_file_is_no_memory_map(scene):
    script = scene.write("other.py", """
        import os, pickle
        def change(path): open(path, "r+b").write(b"changed")
        class Change:
            def __reduce__(self): return change, ("victim",)
        open("victim", "w").write("as it was")
        open("own.pkl", "wb").write(pickle.dumps(Change()))
        try: pickle.load(open("own.pkl", "rb"))
        except PermissionError as error: print(str(error)[:14])
        print(open("victim").read())
    """)
    assert scene.run_python(script).stdout == "changedas\n"
    run = scene.run_python(script, mode="enforce")
    assert run.stdout == "guard: denied \nas it was\n", str(run)


KERAS = """
    import os, sys
    os.environ["KERAS_BACKEND"] = "torch"
    import keras, numpy, pickle
    @keras.saving.register_keras_serializable()
    class Vocabulary(keras.layers.Layer):
        def call(self, x): return x
        def save_assets(self, folder): open(os.path.join(folder, "words.txt"), "w").write("a b c")
        def load_assets(self, folder): self.words = open(os.path.join(folder, "words.txt")).read()
"""


def test_keras_models_with_assets(scene):
    """Their assets are unpacked into a temporary folder and removed again."""
    script = scene.write("assets.py", KERAS + """
    model = keras.Sequential([keras.layers.Input((3,)), Vocabulary(), keras.layers.Dense(1)])
    x = numpy.ones((1, 3))
    open("model.pkl", "wb").write(pickle.dumps(model))
    for again in pickle.load(open("model.pkl", "rb")), pickle.loads(pickle.dumps(model)):
        print(again.layers[0].words, numpy.allclose(model.predict(x, verbose=0), again.predict(x, verbose=0)))
    """)
    scene.benign(script)


def test_keras_model_that_brings_code(scene):
    """The same way in, with a marshalled lambda: Keras trusts what is pickled, so its safe mode is off."""
    make = scene.write("make.py", KERAS + f"""
    layer = keras.layers.Lambda(lambda x: (open({str(scene.marker())!r}, "w").close(), x)[1])
    open("model.pkl", "wb").write(pickle.dumps(keras.Sequential([keras.layers.Input((3,)), layer])))
    """)
    script = scene.write("load.py", KERAS + """
    pickle.load(open("model.pkl", "rb")).predict(numpy.ones((1, 3)), verbose=0)
    """)
    assert scene.run_python(make).returncode == 0
    scene.attack(script)


def test_own_temporary_folder_is_nobody_elses(scene):
    script = scene.write("temporary.py", """
        import pickle, tempfile
        class Own:
            def __reduce__(self): return tempfile_user, ()
        def tempfile_user(): return tempfile.mkdtemp(dir="/tmp")
        try: print(pickle.loads(pickle.dumps(Own())))
        except PermissionError as error: print(str(error)[:14])
    """)
    assert scene.run_python(script, mode="enforce").stdout == "guard: denied \n"

"""A model that a process never opened before, once it serves, is an event of its own."""
import json
import pickle

import pytest

COMMIT = "0123456789012345678901234567890123456789"
SERVER = """
    import os, pickle, sys, time
    def load(name):
        try:
            with open(name, "rb") as file: pickle.load(file)
            print(name, "loaded")
        except PermissionError as error: print(name, error.strerror)
    load("a/model.pkl"); load("b/model.pkl"); load("a/model.pkl")
    time.sleep(float(sys.argv[1]))
    load("a/model.pkl"); load("c/model.pkl"); load("c/more.pkl"); load("d/model.pkl"); load("data/x.pkl")
    load("hub/HUB/e.pkl")
    if os.fork() == 0:
        load("f/model.pkl"); os._exit(0)
    os.wait()
"""


@pytest.fixture
def server(scene, no_guard):
    if no_guard:
        pytest.skip("--no-guard")
    for folder in "abcdf":
        scene.path(folder).mkdir()
        scene.path(folder).joinpath("model.safetensors").touch()
    hub = f"models--org--name/snapshots/{COMMIT}"
    scene.path("data").mkdir()
    scene.path(f"hub/{hub}").mkdir(parents=True)
    for name in "a/model", "b/model", "c/model", "c/more", "d/model", "f/model", "data/x", f"hub/{hub}/e":
        scene.path(f"{name}.pkl").write_bytes(pickle.dumps(name))
    return scene.write("app/server.py", SERVER.replace("HUB", hub))


def serve(scene, server, seconds, **keys):
    scene.path("policy.json").write_text(json.dumps({"version": 1, **keys}))
    run = scene.run_python(server, seconds, mode="enforce", policy=scene.path("policy.json"))
    assert run.returncode == 0, str(run)
    told = [record for record in run.records if record["rule"] == "model-while-serving"]
    return run, [record["name"].removeprefix(f"file:{scene.folder}/") for record in told]


def test_told_once_a_model(scene, server):
    run, told = serve(scene, server, 2.1, limits={"quiet_seconds": 2})
    assert told == ["c", "d", "hf:org/name", "f"], str(run)
    assert not run.denials and not run.guard_lines, str(run)
    record = next(record for record in run.records if record["name"] == "hf:org/name"
                  and record["rule"] == "model-while-serving")
    assert (record["event"], record["decision"], record["model"]["revision"]) == ("depend", "warn", COMMIT)
    assert "server.py" in record["by"]["python"][0]["file"]


@pytest.mark.parametrize("keys", [{}, {"limits": {"quiet_seconds": 0}}, {"limits": {"quiet_seconds": 60}}])
def test_not_before_the_quiet(scene, server, keys):
    assert serve(scene, server, 1.1, **keys)[1] == []


def test_denied_by_a_rule(scene, server):
    rule = {"effect": "depend", "when": "live", "match": "file:**", "then": "deny", "why": "one model a server"}
    run, _ = serve(scene, server, 1.1, limits={"quiet_seconds": 1}, rules=[rule])
    assert run.stdout.splitlines()[3:6] == ["a/model.pkl loaded", "c/model.pkl Permission denied",
                                             "c/more.pkl Permission denied"], str(run)

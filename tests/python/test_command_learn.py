"""guard learn: the policy that an audited run needed, and nothing wider; then the program runs in enforce with it."""
import hashlib
import json
import os
import pickle

import pytest

from guard_command import guard
from hub_cache import add_repository, commit_of
from make_models import payload_bytes

PACKAGE = """
    class Scaler:
        def __init__(self, by):
            self.by = by
        def __reduce__(self):
            return rebuild, (self.by,)

    class Shifter(Scaler):
        def __reduce__(self):
            return restore, (self.by,)

    def rebuild(by, made=Scaler):
        scaler = made.__new__(made)
        scaler.by = by
        return scaler

    def restore(by):
        return rebuild(by, Shifter)

    def shift(values):
        return values + 1

    def unused(values):
        return values
"""

PROGRAM = """
    import os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib", "site-packages"))
    import pickle
    import joblib, torch
    from transformers.dynamic_module_utils import get_class_from_dynamic_module
    print(torch.load("model.pt", weights_only=False)["scaler"].by)
    with open("shifter.pkl", "rb") as file:
        print(pickle.load(file).by)
    print(joblib.load("pipeline.joblib").transform([[1]]))
    print(get_class_from_dynamic_module("modeling_own.Own", "org/own").__name__)
"""

MAKE = """
    import sys
    sys.path.insert(0, "lib/site-packages")
    import joblib, pickle, torch, shifting
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    torch.save({"scaler": shifting.Scaler(2)}, "model.pt")
    pickle.dump(shifting.Shifter(3), open("shifter.pkl", "wb"))
    joblib.dump(make_pipeline(FunctionTransformer(shifting.shift, validate=True)), "pipeline.joblib")
"""


def rules(path):
    return json.loads(path.read_text())["rules"]


def newest_logs(scene):
    return sorted(max((scene.folder / "logs").iterdir(), key=lambda path: int(path.name)).iterdir())


def test_a_program_runs_with_what_it_taught(scene):
    scene.write("lib/site-packages/shifting.py", PACKAGE)
    program = scene.write("infer.py", PROGRAM)
    own = scene.write("own/modeling_own.py", "class Own:\n    pass\n")
    add_repository(scene.path("hub"), "org/own", own.parent)
    env = {"HF_HUB_CACHE": str(scene.path("hub"))}
    made = scene.run_python(scene.write("make.py", MAKE))
    assert made.returncode == 0, str(made)
    plain = scene.run_python(program, env=env)
    assert plain.stdout == "2\n3\n[[2]]\nOwn\n", str(plain)
    if scene.no_guard:
        pytest.skip("--no-guard: the program works without it")
    audit = scene.run_python(program, mode="audit", env=env)
    assert audit.stdout == plain.stdout and audit.denials, str(audit)

    policy, audited = scene.path("policy.json"), newest_logs(scene)
    learnt = scene.guard("learn", *audited, "-o", policy)
    assert learnt.returncode == 0, str(learnt)
    names = {(name, rule["effect"]) for rule in rules(policy) for name in rule["match"]}
    assert names == {("shifting.rebuild", "import"), ("shifting.restore", "import"), ("shifting.shift", "import"),
                     ("python", "code")}, "nothing wider than seen"
    for name, file in ("shifting.rebuild", "model.pt"), ("shifting.restore", "shifter.pkl"):
        assert [rule["path"] for rule in rules(policy) if name in rule["match"]] == [[str(scene.path(file))]], name
    code = next(rule for rule in rules(policy) if rule["effect"] == "code")
    assert code["model"] == ["hf:org/own"] and code["revision"] == commit_of("org/own")
    assert code["sha256"] == hashlib.sha256(own.read_bytes()).hexdigest()
    assert all(rule["why"] and rule["then"] == "allow" for rule in rules(policy))
    checked = scene.guard("policy", "check", policy)
    assert checked.returncode == 0, str(checked)

    enforce = scene.run_python(program, mode="enforce", policy=policy, env=env)
    assert enforce.stdout == plain.stdout and not enforce.denials, str(enforce)
    # The same name in another file is not in it.
    (scene.path("other.pkl")).write_bytes(scene.path("shifter.pkl").read_bytes())
    other = scene.write("other.py", PROGRAM.split("import joblib")[0] + "pickle.load(open('other.pkl', 'rb'))\n")
    assert "PermissionError" in scene.run_python(other, mode="enforce", policy=policy).stderr

    before = policy.read_text()
    again = scene.guard("learn", *audited, "--into", policy)
    assert "0 rules learnt" in again.stdout and policy.read_text() == before, str(again)


class Log:
    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "guard.log"
        self.records = []

    def add(self, kind, name, path=None, **more):
        self.records.append({"v": 1, "event": kind, "mode": "audit", "decision": "deny", "rule": "unlisted-call",
                             "effect": kind,
                             "name": name, "path": str(path or self.folder / "model.pkl"), "sha256": None,
                             "model": None, **more})

    def learn(self, *options):
        self.path.write_text("".join(json.dumps(record) + "\n" for record in self.records))
        return guard("learn", self.path, *options, cwd=self.folder, env={"HOME": self.folder})


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path)


def hub_file(folder, model, commit="c" * 40):
    return folder / f"models--{model.replace('/', '--')}" / "snapshots" / commit / "pytorch_model.bin"


def test_fewest_and_narrowest(log, tmp_path):
    for _ in range(3):
        log.add("import", "pkg.b", hub_file(tmp_path, "org/one"))
    log.add("import", "pkg.a", hub_file(tmp_path, "org/one"))
    log.add("import", "pkg.a", tmp_path / "odd [name]*.pkl")
    log.add("call", "pkg.make", hub_file(tmp_path, "org/one"), by={"python": [
        {"file": "/usr/lib/python3.11/pickle.py", "line": 1}, {"file": "/srv/infer.py", "line": 12}]})
    log.add("import", "pkg.fine", decision="allow")
    log.add("load", "whatever", effect=None)
    run = log.learn("-o", tmp_path / "p.json")
    assert run.returncode == 0, run.stderr
    learnt = rules(tmp_path / "p.json")
    assert [(rule["effect"], rule["match"]) for rule in learnt] == [
        ("import", ["pkg.a", "pkg.b"]), ("import", ["pkg.a"]), ("call", ["pkg.make"])], "calls stand last"
    assert learnt[0]["model"] == ["hf:org/one"] and learnt[0]["revision"] == "c" * 40 and "path" not in learnt[0]
    assert learnt[1]["path"] == [str(tmp_path / "odd \\[name]\\*.pkl")]
    assert learnt[0]["why"] == "denied 4 times by unlisted-call"
    assert learnt[2]["why"] == "review this call: denied 1 time by unlisted-call, asked by infer.py:12"
    review = run.stdout.index("review them")
    assert review < run.stdout.index("call pkg.make") < run.stdout.index("only appear by name") \
        < run.stdout.index("import pkg.a")
    assert "1 denial that no rule can allow" in run.stderr


def test_twice_adds_nothing_and_keeps_the_rest(log, tmp_path):
    policy = tmp_path / "p.json"
    policy.write_text('{"version": 1,\n  // no comments in JSON, but odd spacing stays\n "rules": []}'.replace(
        "  // no comments in JSON, but odd spacing stays\n", "\t\t\n"))
    log.add("import", "pkg.a")
    log.add("call", "pkg.make")
    assert log.learn("--into", policy).stdout.startswith(f"{policy}: 2 rules learnt")
    once = policy.read_text()
    assert "\t\t\n" in once and guard("policy", "check", policy).returncode == 0
    assert log.learn("--into", policy).stdout == f"{policy}: 0 rules learnt\n"
    assert policy.read_text() == once
    log.add("import", "pkg.new")
    assert log.learn("--into", policy).stdout.startswith(f"{policy}: 1 rule learnt")
    assert len(rules(policy)) == 3


def test_what_is_dangerous_is_not_learnt_silently(tmp_path):
    poisoned, log = tmp_path / "poisoned.pkl", tmp_path / "scan.json"
    poisoned.write_bytes(payload_bytes(tmp_path / "marker"))
    log.write_text(guard("scan", "--format", "json", poisoned).stdout)
    policy = tmp_path / "p.json"
    run = guard("learn", log, "-o", policy)
    assert run.returncode == 1 and "known to be dangerous" in run.stderr and "call posix.system" in run.stderr
    assert rules(policy) == [] and not (tmp_path / "marker").exists()
    run = guard("learn", log, "--into", policy, "--accept", "posix.system")
    assert run.returncode == 0, run.stderr
    assert {(rule["effect"], *rule["match"])
            for rule in rules(policy)} == {("call", "posix.system"), ("import", "posix.system")}
    assert all(rule["path"] == [str(poisoned)] for rule in rules(policy))
    assert guard("scan", "--policy", policy, poisoned).returncode == 0
    other = tmp_path / "other.pkl"
    other.write_bytes(poisoned.read_bytes())
    assert guard("scan", "--policy", policy, other).returncode == 1
    shadows = guard("policy", "check", policy)
    assert "posix.system" in shadows.stdout and "in some cases only" in shadows.stdout


def test_what_is_dangerous_is_known_whatever_the_record_says(log, tmp_path):
    """Whatever runs in audit mode can write to its log."""
    log.add("call", "posix.system", rule="unlisted-call")
    log.add("call", "builtins.eval", rule=None)
    log.add("call", "pkg.make")
    run = log.learn("-o", tmp_path / "p.json")
    assert run.returncode == 1 and run.stderr.count("known to be dangerous") == 2, run.stderr
    assert [rule["match"] for rule in rules(tmp_path / "p.json")] == [["pkg.make"]]


def test_damaged_files_are_pinned_to_their_content(log, tmp_path):
    path = tmp_path / "odd.bin"
    path.write_bytes(b"odd")
    log.add("malformed", "zip-differs", path)
    log.add("opaque", "encrypted", tmp_path / "gone.bin")
    run = log.learn("-o", tmp_path / "p.json")
    assert run.returncode == 1 and "its content is not known any more" in run.stderr
    assert [(rule["match"], rule["sha256"]) for rule in rules(tmp_path / "p.json")] == [
        (["zip-differs"], hashlib.sha256(b"odd").hexdigest())]


def test_a_rule_with_a_content_counts_when_the_file_is_loaded(scene):
    """Such rules are learnt, so they have to match: with the file's hash, and no longer when it changed."""
    import torch
    path = scene.path("model.pt")
    torch.save({"weights": torch.zeros(3)}, path)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x03\x04") + 14] ^= 1  # the local header's CRC is not the directory's
    path.write_bytes(data)
    script = scene.write("load.py", "import torch\nprint(sorted(torch.load('model.pt', weights_only=True)))\n")
    assert scene.run_python(script).stdout == "['weights']\n"
    if scene.no_guard:
        pytest.skip("--no-guard")
    audit = scene.run_python(script, mode="audit")
    assert [record["effect"] for record in audit.denials if record["event"] == "load"] == ["malformed"], str(audit)
    policy = scene.path("p.json")
    learnt = scene.guard("learn", *newest_logs(scene), "-o", policy)
    assert learnt.returncode == 0 and all("sha256" in rule for rule in rules(policy)), str(learnt)
    enforce = scene.run_python(script, mode="enforce", policy=policy)
    assert enforce.stdout == "['weights']\n" and not enforce.denials, str(enforce)
    data[-1:] = data[-1:] + b"x"
    path.write_bytes(data)
    assert scene.run_python(script, mode="enforce", policy=policy).denials


@pytest.mark.parametrize("words, says", [
    ([], "no LOG"), (["x", "--nonsense"], "no option"), (["x", "--into"], "needs a value"),
    (["/no/such.log"], "No such file"),
    (["/dev/null", "--into", "broken.json"], "broken.json:1:1: "),
    (["/dev/null", "-o", "/no/folder/p.json"], "No such file")])
def test_wrong_usage(words, says, tmp_path):
    (tmp_path / "broken.json").write_text("nonsense")
    run = guard("learn", *words, cwd=tmp_path)
    assert run.returncode == 2 and says in run.stderr, run.stderr


def test_standard_input_and_output(log):
    log.add("import", "pkg.a")
    text = "".join(json.dumps(record) + "\n" for record in log.records)
    run = guard("learn", "-", input=text)
    assert run.returncode == 0 and json.loads(run.stdout)["rules"][0]["match"] == ["pkg.a"]
    assert run.stderr.startswith("the policy: 1 rule learnt")

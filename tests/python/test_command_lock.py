"""guard lock on logs made by hand: what counts, what is merged, what an update keeps and says, what is left out."""
import hashlib
import json
import os
import subprocess
import sys

import pytest

from guard_command import COMMAND, environment, guard

OLD, NEW = "a" * 40, "b" * 40


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Host:
    """A home with a hub cache and a log of what was loaded from it."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.log = folder / "guard.log"
        self.lock = folder / "models.lock"
        self.records = []

    def hub(self, model, commit, inside, data, **more):
        path = self.folder / "hub" / f"models--{model.replace('/', '--')}" / "snapshots" / commit / inside
        return self.load(path, data, **more)

    def load(self, path, data, **more):
        if data is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.records.append({"v": 1, "event": "load", "mode": "enforce", "decision": "allow", "rule": None,
                             "path": str(path),
                             "format": "safetensors", "sha256": None, "model": None, "parent": None, "edge": "observed",
                             **more})
        return path

    def write(self):
        self.log.write_text("".join(json.dumps(record) + "\n" for record in self.records))
        return self.log

    def make(self, *options, log=None):
        return guard("lock", log or self.write(), *options, cwd=self.folder, env={"HOME": self.folder})

    def files(self, lock=None):
        """{(model, commit): {file: sha256}}"""
        bom = json.loads((lock or self.lock).read_text())
        models = {}
        for component in bom["components"]:
            names = {item["name"]: item["value"] for item in component["properties"]}
            models[names["guard:model"], names.get("guard:commit")] = {
                file["name"]: file["hashes"][0]["content"] for file in component["components"]}
        return models


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path / "host")


def test_a_lock_of_a_log(host):
    host.hub("org/base", OLD, "model.safetensors", b"weights")
    host.hub("org/base", OLD, "model.safetensors", b"weights")
    host.hub("org/base", OLD, "vocab.txt", b"words", format=None)
    host.load(host.folder / "local" / "model.pt", b"pickle", format="pickle",
              model={"id": "file:x", "revision": None, "inside": "y"})
    run = host.make("-o", host.lock)
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    assert run.stdout == f"{host.lock}: 2 models, 3 files\n"
    assert host.files() == {("hf:org/base", OLD): {"model.safetensors": sha256(b"weights"),
                                                   "vocab.txt": sha256(b"words")},
                            ("file:x", None): {"y": sha256(b"pickle")}}


def test_the_same_logs_give_the_same_lock_in_any_order(host):
    host.hub("org/base", OLD, "b.safetensors", b"2")
    host.hub("org/adapter", NEW, "a.safetensors", b"1", parent=None)
    host.hub("org/base", OLD, "a.safetensors", b"1", parent="hf:org/adapter", edge="declared")
    assert host.make("-o", host.lock).returncode == 0
    first = host.lock.read_bytes()
    host.records.reverse()
    assert host.make("-o", host.lock).returncode == 0
    assert host.lock.read_bytes() == first
    needs = {item["ref"]: item["dependsOn"] for item in json.loads(first)["dependencies"]}
    assert needs == {"application": [f"hf:org/adapter@{NEW}"], f"hf:org/adapter@{NEW}": [f"hf:org/base@{OLD}"],
                     f"hf:org/base@{OLD}": []}


def test_edges_that_files_name(host):
    """A record of what a file names makes an edge, loaded on its behalf or not; an update keeps edges and says which
    are new."""
    for name in "adapter", "base", "else":
        host.hub(f"org/{name}", OLD, "a.safetensors", b"1")
    config = host.folder / "hub" / "models--org--adapter" / "snapshots" / OLD / "adapter_config.json"

    def names(target, pinned=False):
        host.load(config, None, event="depend", edge="declared", name=target[3:], target=target, pinned=pinned)

    def pins():
        return [item["value"] for component in json.loads(host.lock.read_text())["components"]
                for item in component["properties"]
                if item["name"] == "guard:pinned"]

    def needs():
        return {item["ref"]: item["dependsOn"] for item in json.loads(host.lock.read_text())["dependencies"]}

    names("hf:org/base", pinned=True)
    names("hf:org/never-loaded")
    assert host.make("-o", host.lock).returncode == 0
    assert needs()[f"hf:org/adapter@{OLD}"] == [f"hf:org/base@{OLD}"]
    assert pins() == [f"hf:org/base@{OLD}"]
    host.records = [record for record in host.records if record["event"] == "load"]
    assert host.make("--update", host.lock).stdout.startswith("nothing changed\n")
    names("hf:org/base")  # once without a commit is not pinned
    names("hf:org/base", pinned=True)
    run = host.make("--update", host.lock)
    assert run.stdout.splitlines()[:-1] == ["changed hf:org/adapter no longer names the commit of hf:org/base"]
    assert not pins()
    names("hf:org/else")
    run = host.make("--update", host.lock)
    assert run.stdout.splitlines()[:-1] == ["new     hf:org/adapter leads to hf:org/else"], run.stdout
    assert needs()[f"hf:org/adapter@{OLD}"] == [f"hf:org/base@{OLD}", f"hf:org/else@{OLD}"]
    host.records = []
    host.hub("org/adapter", NEW, "a.safetensors", b"1")
    assert host.make("--update", host.lock).returncode == 0
    assert needs()[f"hf:org/adapter@{NEW}"] == [], "another commit, of which nothing is known yet"


def test_an_unchanged_lock_is_not_written_again(host):
    host.hub("org/base", OLD, "a.safetensors", b"1")
    assert host.make("-o", host.lock).returncode == 0
    before = os.stat(host.lock)
    run = host.make("--update", host.lock)
    assert run.stdout == f"nothing changed\n{host.lock}: 1 model, 1 file\n"
    after = os.stat(host.lock)
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_what_counts(host):
    host.hub("org/denied", OLD, "a.pt", b"1", decision="deny", rule="exec-call")
    host.hub("org/audited", OLD, "a.pt", b"1", decision="deny", rule="unlisted-call", mode="audit")
    host.hub("org/drifted", OLD, "a.pt", b"1", decision="deny", rule="lock-changed")
    host.hub("org/code", OLD, "modeling.py", b"1", event="code", name="python", format="python")
    host.hub("org/blob", OLD, "../../blobs/abc", b"1")
    host.load(host.folder / "data" / "features.npy", b"1", format="npy")
    host.load(host.folder / "data" / "frame.pkl", b"1", format="pickle")
    host.records.append({"v": 1, "event": "start", "mode": "enforce", "decision": "allow", "path": "/usr/bin/python3"})
    assert host.make("-o", host.lock).returncode == 0
    assert host.files().keys() == {("hf:org/audited", OLD), ("hf:org/drifted", OLD), ("hf:org/code", OLD),
                                   ("file:data", None)}
    assert list(host.files()["file:data", None]) == ["frame.pkl"]


def test_globs(host):
    for name in "org/base", "org/else", "other/base":
        host.hub(name, OLD, "a.safetensors", b"1")
    host.load(host.folder / "checkpoints" / "last.pt", b"1", format="pickle")
    assert host.make("-o", host.lock, "--models", "hf:org/*", "hf:other/**").returncode == 0
    assert {model for model, _ in host.files()} == {"hf:org/base", "hf:org/else", "hf:other/base"}
    # An update keeps the scope.
    assert host.make("--update", host.lock).stdout.startswith("nothing changed")
    scopes = [item["value"] for item in json.loads(host.lock.read_text())["metadata"]["properties"]
              if item["name"] == "guard:scope"]
    assert scopes == ["hf:org/*", "hf:other/**"]


def test_an_update_keeps_what_is_true_and_says_what_is_not(host):
    host.hub("org/base", OLD, "same", b"same")
    changed = host.hub("org/base", OLD, "changed", b"old")
    unread = host.hub("org/base", OLD, "unread", b"old")
    gone = host.hub("org/base", OLD, "gone", b"1")
    host.hub("org/moved", OLD, "x", b"1")
    host.hub("org/untold", OLD, "x", b"1")
    assert host.make("-o", host.lock).returncode == 0
    host.records.clear()
    host.hub("org/base", OLD, "same", None)
    changed.write_bytes(b"new")
    host.load(changed, None)
    unread.write_bytes(b"other")
    gone.unlink()
    host.hub("org/base", OLD, "added", b"1")
    host.hub("org/moved", NEW, "x", b"1")
    run = host.make("--update", host.lock)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        f"new     hf:org/base@{OLD} added",
        f"changed hf:org/base@{OLD} changed: SHA-256 {sha256(b'old')}, now {sha256(b'new')}",
        f"gone    hf:org/base@{OLD} gone",
        f"changed hf:org/base@{OLD} unread: SHA-256 {sha256(b'old')}, now {sha256(b'other')}",
        f"gone    hf:org/moved@{OLD}",
        f"moved   hf:org/moved@{NEW}: was at {OLD}",
        f"{host.lock}: 3 models, 6 files"]
    assert ("hf:org/untold", OLD) in host.files()


def test_many_hosts_make_one_lock(tmp_path):
    """The logs of machines that this one cannot look into bring their hashes along, as records of a locked run do."""
    hosts = [Host(tmp_path / name) for name in ("one", "two")]
    for number, host in enumerate(hosts):
        host.hub("org/base", OLD, "model.safetensors", None, sha256=sha256(b"base"))
        host.hub(f"org/own{number}", NEW, "x", None, sha256=sha256(b"own"))
        host.load(host.folder / "srv" / "model" / "a.pt", None, sha256=sha256(b"a"),
                  model={"id": f"file:{host.folder}/srv/model",
                           "revision": None, "inside": "a.pt"})
    lock = tmp_path / "fleet.lock"
    run = guard("lock", *[host.write() for host in hosts], "-o", lock)
    assert run.returncode == 0, run.stderr
    assert hosts[0].files(lock) == {("hf:org/base", OLD): {"model.safetensors": sha256(b"base")},
                                    ("hf:org/own0", NEW): {"x": sha256(b"own")},
                                    ("hf:org/own1", NEW): {"x": sha256(b"own")},
                                    ("file:model", None): {"a.pt": sha256(b"a")}}


def test_a_hundred_thousand_records_on_standard_input(host):
    host.hub("org/base", OLD, "model.safetensors", b"weights")
    line = json.dumps(host.records[0]) + "\n"
    run = guard("lock", "-", "-o", "-", input=line * 100_000, timeout=60)
    assert run.returncode == 0 and json.loads(run.stdout)["components"][0]["name"] == "base", run.stderr
    assert run.stderr == "the lock: 1 model, 1 file\n"


def test_what_guard_scan_found(host):
    from safetensors.numpy import save
    import numpy as np
    data = save({"w": np.zeros(2)})
    path = host.hub("org/base", OLD, "model.safetensors", data)
    (path.parent / "words.txt").write_text("words")
    scanned = guard("scan", "--format", "json", "hub", cwd=host.folder)
    host.log.write_text(scanned.stdout)
    run = host.make("-o", host.lock, log=host.log)
    assert run.returncode == 0, run.stderr
    assert host.files() == {("hf:org/base", OLD): {"model.safetensors": sha256(data), "words.txt": sha256(b"words")}}


def test_damage_is_counted_and_missing_files_are_said(host):
    host.hub("org/base", OLD, "here", b"1", sha256="no hash, but as long as one".ljust(64))
    host.hub("org/base", OLD, "away", None)
    host.hub("org/base", OLD, os.fsdecode(b"caf\xe9"), b"1")
    log = host.write()
    log.write_bytes(log.read_bytes() +
                    b'{"v":1,"event":"load","decision":"al\nnonsense\n{"v":2,"event":"load","decision":"allow"}\n')
    run = host.make("-o", host.lock, log=log)
    assert run.returncode == 1
    assert f"{log}:4: neither a record nor a line" in run.stderr and "and 2 more such lines" in run.stderr
    assert "away: left out of the lock: No such file" in run.stderr and "caf\\xe9: left out of the lock" in run.stderr
    assert host.files() == {("hf:org/base", OLD): {"here": sha256(b"1")}}


@pytest.mark.parametrize("words, says", [
    ([], "no LOG"), (["x.log"], "where to?"), (["x.log", "-o"], "needs a value"),
    (["x.log", "--nonsense"], "no option"),
    (["/no/such.log", "-o", "x.lock"], "/no/such.log: No such file"),
    (["/dev/null", "--update", "/no/such.lock"], "/no/such.lock: cannot be opened: no such file"),
    (["/dev/null", "-o", "/no/such/folder/x.lock"], "No such file")])
def test_wrong_usage(words, says, tmp_path):
    run = guard("lock", *words, cwd=tmp_path)
    assert run.returncode == 2 and says in run.stderr, run.stderr


def test_an_empty_lock_is_one(host):
    host.log.write_text("")
    assert host.make("-o", host.lock, log=host.log).stdout == f"{host.lock}: 0 models, 0 files\n"
    assert guard("run", "--lock", host.lock, "--", "true").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_nobody_else_has_a_hand_in_the_cache_of_hashes(host):
    """A folder for hashes that belongs to another, is open to others or is a link is not used; the lock is made all the
    same."""
    folder = host.folder / ".cache" / "guard" / "hashes"
    path = host.hub("org/base", OLD, "model.safetensors", b"weights")
    os.utime(path)
    script = ("import os, sys, time; status = os.stat(sys.argv[1])\n"
              "time.sleep(max(0, 2.1 - (time.time() - status.st_ctime)))")
    subprocess.run([sys.executable, "-c", script, path], check=True)
    assert host.make("-o", host.lock).returncode == 0
    assert len(list(folder.iterdir())) == 1 and folder.stat().st_mode & 0o777 == 0o700

    entry = next(folder.iterdir())
    good = entry.read_bytes()
    at = good.index(hashlib.sha256(b"weights").digest())
    lie = good[:at] + hashlib.sha256(b"other").digest() + good[at + 32:]
    # Even a lie in the right place is none without the digest of the entry, which whoever may write there can make ...
    entry.write_bytes(lie)
    assert host.make("-o", host.lock).returncode == 0
    assert host.files()["hf:org/base", OLD] == {"model.safetensors": sha256(b"weights")}
    # ... so what counts is who may.
    forged = lie[:-32] + hashlib.sha256(lie[:-32]).digest()
    entry.write_bytes(forged)
    assert host.make("-o", host.lock).returncode == 0
    assert host.files()["hf:org/base", OLD] == {"model.safetensors": sha256(b"other")}, "the forged entry is well made"
    for spoil, repair in ((lambda: folder.chmod(0o770), lambda: folder.chmod(0o700)),
                          (lambda: os.chown(folder, 65534, 65534), lambda: os.chown(folder, 0, 0)),
                          (lambda: (folder.rename(folder.parent / "real"), folder.symlink_to("real")), lambda: None)):
        spoil()
        assert host.make("-o", host.lock).returncode == 0
        assert host.files()["hf:org/base", OLD] == {"model.safetensors": sha256(b"weights")}
        repair()

"""How the guard speaks and keeps books: folding, the summary on a terminal, records that cannot be written, a locked
site."""
import json
import os
import pickle
import pty
import shutil
import subprocess

import pytest

from conftest import LIBRARY


class Payload:
    def __reduce__(self):
        return os.getppid, ()  # denied as all of posix is, and no deed that the live ring would deny once more


LOAD = """
    import pickle, sys
    for _ in range(int(sys.argv[2])):
        try:
            pickle.load(open(sys.argv[1], "rb"))
            print("loaded")
        except PermissionError:
            print("refused")
"""


@pytest.fixture
def files(scene):
    scene.path("poisoned.pkl").write_bytes(pickle.dumps(Payload(), 2))
    scene.path("clean.pkl").write_bytes(pickle.dumps([1, 2], 2))
    return scene.write("load.py", LOAD)


def test_the_same_denial_is_said_once(scene, files):
    run = scene.run_python(files, "poisoned.pkl", "5", mode="enforce")
    assert run.stdout.split() == ["refused"] * 5
    assert len(run.guard_lines) == 2, f"the denial, and how to allow it\n{run}"
    assert sum(record["event"] == "load" for record in run.denials) == 5, "each is recorded"


def test_a_swallowed_denial_leaves_a_record(scene, files):
    run = scene.run_python(files, "poisoned.pkl", "2", mode="enforce")
    assert any(record["event"] == "error" and "swallowed" in record["why"] for record in run.records), str(run)
    assert not any(record["event"] == "error"
                   for record in scene.run_python(files, "poisoned.pkl", "1", mode="enforce").records)


def on_terminal(scene, words, **environment):
    """What a person at a terminal reads."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([str(word) for word in words], cwd=scene.folder, stdin=follower, stdout=follower,
                               stderr=follower, env={**scene.environment(), "LD_PRELOAD": str(LIBRARY), **environment})
    os.close(follower)
    text = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:  # EIO: the last writer is gone
            break
        if not piece:
            break
        text += piece
    process.wait()
    os.close(leader)
    return text.decode()


def test_summary_on_a_terminal(scene, files):
    said = on_terminal(scene, [scene.python, files, "poisoned.pkl", "3"])
    assert "guard: 3 files judged, 3 denied, 0 warnings" in said, said
    assert "guard:" not in on_terminal(scene, [scene.python, files, "clean.pkl", "3"])
    assert "guard:" not in on_terminal(scene, [scene.python, files, "poisoned.pkl", "3"], GUARD_QUIET="1")


@pytest.mark.parametrize("required", [False, True])
def test_records_that_cannot_be_written(scene, files, required):
    policy = scene.write("policy.json", json.dumps({"version": 1, "log_required": required, "rules": []}))
    policy.chmod(0o644)
    for mode in ("enforce", "audit"):
        run = scene.run([scene.python, files, "clean.pkl", "2"],
                        env={"LD_PRELOAD": str(LIBRARY), "GUARD_MODE": mode, "GUARD_LOG": "/no/such/folder/log",
                             "GUARD_POLICY": str(policy)})
        refused = required and mode == "enforce"
        assert run.stdout.split() == ["refused" if refused else "loaded"] * 2, str(run)
        assert run.stderr.count("records cannot be written") == 1, str(run)


def test_records_go_where_they_are_told(scene, files):
    for where in ("stderr", "stdout"):
        run = scene.run([scene.python, files, "clean.pkl", "1"], env={"LD_PRELOAD": str(LIBRARY), "GUARD_LOG": where})
        lines = [json.loads(line) for line in getattr(run, where).splitlines() if line.startswith("{")]
        assert [line["event"] for line in lines] == ["start", "load"], str(run)


SITE = "/etc/guard"


@pytest.mark.skipif(os.geteuid() != 0 or os.path.exists(SITE), reason="needs root, and no site policy of its own")
def test_locked_site_policy(scene, files):
    """In a mount namespace of its own: nobody else sees this site's policy."""
    os.mkdir(SITE)
    try:
        def loads(site, file, **environment):
            words = " ".join([scene.python, str(files), file, "1"])
            script = (f"mount -t tmpfs none {SITE} && printf %s '{json.dumps(site)}' >{SITE}/policy.json && "
                      f"chmod 644 {SITE}/policy.json && LD_PRELOAD={LIBRARY} {words}")
            return scene.run(["unshare", "-m", "sh", "-c", script], env=environment)

        user = scene.write("user.json", json.dumps({"version": 1, "rules": [
            {"effect": "call", "match": ["posix.getppid"], "then": "allow"}]}))
        user.chmod(0o644)
        loose = {"version": 1, "rules": []}
        locked = {"version": 1, "locked": True, "rules": []}
        if "Operation not permitted" in loads(loose, "clean.pkl").stderr:
            pytest.skip("no mount namespaces here")
        assert loads(loose, "poisoned.pkl", GUARD_MODE="off").stdout.split() == ["loaded"]
        assert loads(loose, "poisoned.pkl", GUARD_MODE="audit").stdout.split() == ["loaded"]
        assert loads(loose, "poisoned.pkl", GUARD_POLICY=str(user)).stdout.split() == ["loaded"]
        for environment in ({"GUARD_MODE": "off"}, {"GUARD_MODE": "audit"}, {"GUARD_POLICY": str(user)}, {}):
            run = loads(locked, "poisoned.pkl", **environment)
            assert run.stdout.split() == ["refused"], f"{environment}\n{run}"
        assert loads(locked, "clean.pkl", GUARD_MODE="off").stdout.split() == ["loaded"]
        broken = loads({"version": 1, "rulez": []}, "clean.pkl", GUARD_MODE="audit")
        assert broken.stdout.split() == ["refused"] and f"{SITE}/policy.json:1:" in broken.stderr, str(broken)
    finally:
        shutil.rmtree(SITE)


@pytest.mark.parametrize("opened, reads", [("package.json", False), ("setup.cfg", False), ("notes.yaml", False),
                                           ("README.md", False), ("clean.pkl", True)])
def test_no_policy_is_read_without_a_model(scene, files, opened, reads):
    """A process that opens no model pays next to nothing: `python` itself reads pyvenv.cfg, programs read JSON all
    day."""
    folder = scene.path("project/src/code")  # far from the models of the other tests
    folder.mkdir(parents=True)
    (folder / opened).write_bytes(scene.path(opened).read_bytes() if reads else b'{"name": 1}\n')
    subprocess.run(["strace", "-f", "-e", "trace=open,openat", "-o", "trace", "-E", f"LD_PRELOAD={LIBRARY}",
                    scene.python, "-c",
                    f"open({str(folder / opened)!r}, 'rb').read()"], cwd=scene.folder, env=scene.environment(),
                   check=True)
    assert ("/etc/guard/policy.json" in scene.path("trace").read_text()) == reads


@pytest.mark.parametrize("variable", ["GUARD_POLICY", "GUARD_LOCK"])
def test_what_cannot_be_read_denies_models_and_says_so(scene, files, variable):
    faulty = scene.path("faulty.json")
    faulty.write_text('{"version": 1, "rules": [}')
    script = scene.write("import_and_load.py", """
        import numpy, pickle
        print(numpy.ones(1))
        try:
            pickle.load(open("clean.pkl", "rb"))
        except PermissionError as error:
            print("refused")
    """)
    run = scene.run_python(script, mode="enforce", env={variable: str(faulty)})
    assert run.stdout == "[1.]\nrefused\n", str(run)
    assert run.guard_lines and all(str(faulty) in line for line in run.guard_lines), str(run)

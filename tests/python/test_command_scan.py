"""guard scan: verdicts, both formats, exit statuses, folders, lists, jobs, and files that are not what they seem."""
import gzip
import hashlib
import json
import os
import pickle
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest

from guard_command import COMMAND, environment, guard

KEYS = ["path", "verdict", "format", "findings", "depends", "error"]
FINDING_KEYS = ["rule", "decision", "severity", "effect", "name", "args", "member", "offset", "why"]


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def folder(tmp_path):
    """One file of each verdict, and some that are no models."""
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Call(os.system, f"touch {tmp_path}/marker")))
    (tmp_path / "good.pkl").write_bytes(pickle.dumps({"weights": [1.0, 2.0], "name": "x"}))
    (tmp_path / "notes.txt").write_text("import os\nnothing to see\n")
    (tmp_path / "empty").write_bytes(b"")
    model = tmp_path / "model"
    model.mkdir()
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base", "revision": null}')
    (model / "config.json").write_text('{"auto_map": {"AutoModel": "modeling_x.X"}}')
    return tmp_path


def scan_json(*words, **options):
    run = guard("scan", "--format", "json", *words, **options)
    assert run.stderr == "", run.stderr
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()]


def test_json_lines(folder):
    status, lines = scan_json(folder)
    assert status == 1
    assert [os.path.relpath(line["path"], folder) for line in lines] == [
        "empty", "evil.pkl", "good.pkl", "model/adapter_config.json", "model/config.json", "notes.txt"]
    for line in lines:
        assert set(KEYS) <= set(line)
        assert line["error"] is None
        for finding in line["findings"]:
            assert set(FINDING_KEYS) <= set(finding)
            assert finding["decision"] in ("warn", "deny")
            assert isinstance(finding["offset"], int) and finding["why"]
    by_name = {os.path.basename(line["path"]): line for line in lines}
    assert {name: line["verdict"] for name, line in by_name.items()} == {
        "empty": "allow", "evil.pkl": "deny", "good.pkl": "allow", "adapter_config.json": "allow",
        "config.json": "warn",
        "notes.txt": "allow"}
    assert by_name["empty"]["format"] == by_name["notes.txt"]["format"] == []
    assert by_name["good.pkl"]["format"] == ["pickle"]
    call = [finding for finding in by_name["evil.pkl"]["findings"] if finding["effect"] == "call"]
    assert [finding["name"] for finding in call] == ["posix.system"]
    assert call[0]["args"] == f'"touch {folder}/marker"' and call[0]["severity"] == "critical"
    assert by_name["adapter_config.json"]["depends"] == [
        {"target": "org/base", "revision": None, "how": "declared", "pinned": False}]
    assert not (folder / "marker").exists()


def test_text(folder):
    run = guard("scan", folder)
    assert run.returncode == 1 and run.stderr == ""
    lines = run.stdout.splitlines()
    assert f"deny  {folder}/evil.pkl (pickle)" in lines
    assert any("calls posix.system(" in line and "critical]" in line for line in lines)
    assert any("needs org/base (declared, not pinned to a commit)" in line for line in lines)
    assert not any("notes.txt" in line for line in lines)
    assert lines[-1].startswith("6 files, 4 of them models or pickles: 1 denied, 1 warned of")
    assert "\033" not in run.stdout


def test_text_says_what_to_do(folder):
    run = guard("scan", folder)
    attack = run.stdout.partition("evil.pkl")[2].partition("\n      do not load it")
    assert attack[1] and "to allow" not in attack[0]
    # A hint that is followed works, and nothing in a name reaches the shell.
    (folder / "unlisted.pkl").write_bytes(b"cmypkg\nrebuild\n(tR.")
    (folder / "shell.pkl").write_bytes(b"cmypkg\nx'; touch shell-marker; '\n(tR.")
    for name in "unlisted.pkl", "shell.pkl":
        run = guard("scan", "--policy", "policy.json", name, cwd=folder) if (folder / "policy.json").exists() else \
            guard("scan", name, cwd=folder)
        hints = [line.partition("to allow: ")[2] for line in run.stdout.splitlines() if "to allow: " in line]
        assert run.returncode == 1 and hints, run
        for hint in hints:
            subprocess.run(["sh", "-c", hint.replace("guard ", f"'{COMMAND}' ", 1)], cwd=folder, check=True,
                           stdout=subprocess.DEVNULL)
        assert guard("scan", "--policy", "policy.json", name, cwd=folder).returncode == 0
    assert not (folder / "shell-marker").exists()
    assert guard("scan", "--policy", "policy.json", "evil.pkl", cwd=folder).returncode == 1


def test_sarif(folder):
    (folder / "od d:\u00fc.pkl").write_bytes((folder / "evil.pkl").read_bytes())
    run = guard("scan", "--format", "sarif", ".", "missing", cwd=folder)
    assert run.returncode == 2 and run.stderr == ""
    log = json.loads(run.stdout)
    # The models of this package are generated from the official schema, and forbid what it does not know.
    from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Schema
    Schema.model_validate(log)
    with pytest.raises(ValueError):
        Schema.model_validate({**log, "runs": [{**log["runs"][0], "surprise": 1}]})
    [sarif] = log["runs"]
    found = {(result["ruleId"], result["level"], result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
             for result in sarif["results"]}
    assert found == {("exec-call", "error", "evil.pkl"), ("exec-call", "error", "od%20d%3A%C3%BC.pkl"),
                     ("declared-code", "warning", "model/config.json")}
    rules = [rule["id"] for rule in sarif["tool"]["driver"]["rules"]]
    assert sorted(rules) == ["declared-code", "exec-call"]
    assert sarif["originalUriBaseIds"]["WORKING_DIRECTORY"]["uri"] == folder.as_uri() + "/"
    [invocation] = sarif["invocations"]
    assert not invocation["executionSuccessful"]
    assert "No such file" in invocation["toolExecutionNotifications"][0]["message"]["text"]
    clean = json.loads(guard("scan", "--format", "sarif", folder / "good.pkl").stdout)["runs"][0]
    assert clean["results"] == [] and clean["invocations"][0]["executionSuccessful"]


def test_progress_on_a_terminal(tmp_path):
    """On a long scan a line on standard error is redrawn, and gone at the end; none where that is no terminal."""
    slow = tmp_path / "slow.pkl"  # whose opcodes take some 50 ms, judged often enough to take seconds
    slow.write_bytes(b"\x80\x02" + b"]q\x00" + b"h\x000" * 4_000_000 + b".")
    count = 60
    (tmp_path / "list").write_text(f"{slow}\n" * count)
    leader, follower = pty.openpty()
    process = subprocess.Popen([COMMAND, "scan", "--jobs", "1", "--format", "json", "--files-from", tmp_path / "list"],
                               stderr=follower, stdout=subprocess.PIPE, env=environment(TERM="xterm"))
    out, _ = process.communicate(timeout=120)
    os.close(follower)
    shown = os.read(leader, 65536).decode()
    os.close(leader)
    assert "guard scan: " in shown and f" of {count} files, 0 denied" in shown
    assert shown.endswith("\r\033[K") and len(out.splitlines()) == count
    assert guard("scan", tmp_path).stderr == ""


def test_exit_statuses(folder):
    assert guard("scan", folder / "good.pkl").returncode == 0
    assert guard("scan", folder / "notes.txt").returncode == 0
    assert guard("scan", folder / "evil.pkl").returncode == 1
    assert guard("scan", folder / "evil.pkl", folder / "missing").returncode == 2
    assert guard("scan", folder / "model").returncode == 0
    assert guard("scan", "--strict", folder / "model").returncode == 1
    assert guard("scan", "--strict", folder / "good.pkl").returncode == 0


@pytest.mark.parametrize("words", [
    [], ["--format", "xml", "x"], ["--jobs", "0", "x"], ["--jobs", "many", "x"],
    ["--jobs", "-1", "x"], ["--nonsense", "x"], ["--policy"], ["--files-from", "/nowhere/list"]])
def test_wrong_usage(words):
    run = guard("scan", *words)
    assert run.returncode == 2
    assert run.stderr.startswith("guard scan: ") and run.stdout == ""


def test_help():
    run = guard("scan", "--help")
    assert run.returncode == 0 and run.stdout.startswith("Usage: guard scan") and run.stderr == ""


def test_things_that_are_no_files(folder):
    os.mkfifo(folder / "fifo")
    (folder / "nowhere").symlink_to("missing")
    (folder / "loop").symlink_to("loop")
    (folder / "up").symlink_to("..")
    (folder / "link.pkl").symlink_to("evil.pkl")
    status, lines = scan_json(folder)
    assert status == 1
    names = [os.path.relpath(line["path"], folder) for line in lines]
    assert "link.pkl" in names and not {"fifo", "nowhere", "loop", "up"} & set(names)
    assert "2 links to nothing left out" in guard("scan", folder).stdout
    # Named themselves they are what the user asked for.
    for name, error in ("fifo", "no regular file"), ("nowhere", "No such file"), ("loop", "symbolic links"):
        status, [line] = scan_json(folder / name)
        assert (status, line["verdict"]) == (2, "error") and error in line["error"]
    status, [line] = scan_json("/dev/null")
    assert status == 2 and line["verdict"] == "error"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable(folder):
    (folder / "evil.pkl").chmod(0)
    status, lines = scan_json(folder)
    assert status == 2
    assert [line["error"] for line in lines if line["verdict"] == "error"] == ["Permission denied"]


def test_standard_input(folder):
    run = subprocess.run([COMMAND, "scan", "--format", "json", "-"], input=(folder / "evil.pkl").read_bytes(),
                         capture_output=True, env=environment())
    line = json.loads(run.stdout)
    assert (run.returncode, line["path"], line["verdict"]) == (1, "-", "deny")


def test_files_from(folder):
    names = ["good.pkl", "evil.pkl", "notes.txt"]
    run = guard("scan", "--format", "json", "--files-from", "-", cwd=folder, input="\n".join(names))
    assert [json.loads(line)["path"] for line in run.stdout.splitlines()] == names
    (folder / "list").write_text("\0".join(names) + "\0")
    run = guard("scan", "--format", "json", "--files-from", "list", "model/config.json", cwd=folder)
    assert [json.loads(line)["path"] for line in run.stdout.splitlines()] == ["model/config.json", *names]
    assert run.returncode == 1


def test_many_jobs_keep_the_order(folder):
    many = folder / "many"
    many.mkdir()
    for number in range(60):
        content = pickle.dumps(Call(os.system, f"echo {number}") if number % 3 == 0 else list(range(number * 50)))
        (many / f"{number:02}.pkl").write_bytes(content)
    one = guard("scan", "--format", "json", "--jobs", "1", many)
    assert one.returncode == 1 and len(one.stdout.splitlines()) == 60
    for jobs in 2, 7, 64:
        run = guard("scan", "--format", "json", "--jobs", jobs, many)
        assert (run.returncode, run.stdout) == (1, one.stdout)


def test_a_worker_that_dies_takes_one_file_along(folder):
    """A pipe as the second of the files keeps the worker busy for ever; it is then killed from outside."""
    slow = folder / "slow.bin"
    with open(slow, "wb") as file:
        file.write(b"\x80\x04")
        file.write(b"K\x01" * (40 << 20))
    process = subprocess.Popen([COMMAND, "scan", "--format", "json", "--jobs", "1", slow, folder / "evil.pkl"],
                               stdout=subprocess.PIPE, env=environment())
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 20
    while not (worker := children.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(int(worker[0]), signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    first, second = map(json.loads, output.splitlines())
    assert process.returncode == 2
    assert first["verdict"] == "error" and "signal 9" in first["error"]
    assert second["verdict"] == "deny"


def test_names_that_want_to_move_the_cursor(folder):
    nasty = folder / "a\033[2J\nb\u202e.pkl"
    (folder / "evil.pkl").rename(nasty)
    text = guard("scan", nasty).stdout
    assert "\033" not in text and "\u202e" not in text and "\\x1b[2J\\x0ab" in text
    os.rename(nasty, os.fsencode(folder) + b"/\xff\xfe.pkl")
    status, lines = scan_json(folder)
    assert status == 1 and any(line["path"].endswith("/\udcff\udcfe.pkl") for line in lines)


def test_colours_only_on_a_terminal(folder):
    def on_terminal(**env):
        leader, follower = pty.openpty()
        process = subprocess.Popen([COMMAND, "scan", folder / "evil.pkl"], stdout=follower, env=environment(**env))
        os.close(follower)
        output = b""
        try:
            while part := os.read(leader, 4096):
                output += part
        except OSError:
            pass
        process.wait()
        os.close(leader)
        return output

    assert b"\033[31mdeny" in on_terminal(TERM="xterm")
    assert b"\033" not in on_terminal(TERM="xterm", NO_COLOR="1")
    assert b"\033" not in on_terminal(TERM="dumb")


def test_containers(folder):
    packed = folder / "model.joblib.gz"
    packed.write_bytes(gzip.compress((folder / "evil.pkl").read_bytes()))
    status, [line] = scan_json(packed)
    assert status == 1 and line["verdict"] == "deny" and line["format"] == ["gzip", "pickle"]


def test_policy(folder):
    evil = folder / "evil.pkl"
    policy = folder / "policy.json"
    digest = hashlib.sha256(evil.read_bytes()).hexdigest()
    rules = [{"id": "mine", "effect": ["call", "import"], "match": ["posix.system"], "sha256": digest, "then": "warn",
              "why": "known"}]
    policy.write_text(json.dumps({"version": 1, "rules": rules}))
    status, [line] = scan_json("--policy", policy, evil)
    assert status == 0 and line["verdict"] == "warn"
    assert {finding["rule"] for finding in line["findings"]} == {"mine"}
    evil.write_bytes(evil.read_bytes() + b"\n")
    assert scan_json("--policy", policy, evil)[0] == 1
    policy.write_text('{"version": 1,\n "rulez": []}')
    run = guard("scan", "--policy", policy, evil)
    assert run.returncode == 2 and f"{policy}:2:" in run.stderr and run.stdout == ""


def test_a_config_is_judged_beside_weights_only(tmp_path):
    text = '{"_target_": "os.system"}'
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "settings.json").write_text(text)
    (tmp_path / "with").mkdir()
    (tmp_path / "with" / "settings.json").write_text(text)
    (tmp_path / "with" / "model.safetensors").write_bytes(b"")
    assert scan_json(tmp_path / "alone")[0] == 0
    status, lines = scan_json(tmp_path / "with")
    assert status == 1 and [line["verdict"] for line in lines] == ["allow", "deny"]


def test_closed_output(folder):
    run = subprocess.run(f"'{COMMAND}' scan '{folder}' >/dev/full", shell=True, capture_output=True, text=True,
                         env=environment())
    assert run.returncode == 2 and "No space left" in run.stderr

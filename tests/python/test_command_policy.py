"""guard policy: show, check, explain, add."""
import json
import os
import pickle
import threading

import pytest

from guard_command import guard

EMPTY = '{"version": 1, "rules": []}'


def test_show(tmp_path):
    shown = json.loads(guard("policy", "show").stdout)
    assert shown["mode"] == "enforce" and shown["locked"] in (True, False)
    built_in = shown["policies"][-1]
    assert built_in["file"] is None and built_in["policy"]["version"] == 1 and built_in["policy"]["rules"]
    mine = tmp_path / "mine \u00e4.json"
    mine.write_text('{"version": 1, "mode": "audit", "rules": []}')
    shown = json.loads(guard("policy", "show", "--policy", mine).stdout)
    assert shown["mode"] == "audit" and shown["policies"][0] == {"file": str(mine),
                                                                 "policy": json.loads(mine.read_text())}


def test_check(tmp_path):
    policy = tmp_path / "p.json"
    policy.write_text(EMPTY)
    run = guard("policy", "check", policy)
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{policy}: valid\n", "")
    policy.write_text('{"version": 1,\n "rules": [\n  {"then": "alow"}]}')
    run = guard("policy", "check", policy)
    assert run.returncode == 1 and f"{policy}:3:" in run.stderr and run.stdout == ""
    assert guard("policy", "check", tmp_path / "missing").returncode == 2
    assert guard("policy", "check", tmp_path).returncode == 2
    policy.write_text("")
    assert guard("policy", "check", policy).returncode == 1
    assert guard("policy", "check").returncode == 2
    assert guard("policy", "check", policy, policy).returncode == 2


def test_check_names_what_a_rule_overrides(tmp_path):
    policy = tmp_path / "p.json"
    rules = [{"id": "wide", "effect": "call", "match": ["posix.**"], "then": "allow"},
             {"id": "narrow", "effect": "call", "match": ["torch.load"], "model": ["hf:me/mine"], "then": "warn"},
             {"id": "harmless", "effect": "call", "match": ["my.own.function"], "then": "allow"},
             {"id": "once", "effect": "call", "match": ["os.system"], "then": "allow"},
             {"id": "stricter", "effect": "call", "match": ["posix.system"], "then": "deny"}]
    policy.write_text(json.dumps({"version": 1, "rules": rules}))
    run = guard("policy", "check", policy)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert any(line.startswith("  wide over ") and " posix." in line and "some cases" not in line for line in lines)
    assert any(line.startswith("  narrow over ") and line.endswith("call torch.load (in some cases only)")
               for line in lines)
    assert sum(line.startswith("  once over exec-call: call os.system") for line in lines) == 1
    assert not any("import" in line for line in lines if "once" in line)
    assert not any("harmless" in line or "stricter" in line for line in lines)


def explain(*words):
    run = guard("policy", "explain", *words)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_explain(tmp_path):
    text = explain("os.system")
    assert text.startswith("os.system\n")
    assert [line.split()[:2] for line in text.splitlines()[1:]] == [["import", "deny"], ["create", "deny"],
                                                                    ["call", "deny"]]
    assert "call      deny by rule " in explain("call:torch.load")
    assert explain("hf:org/name").splitlines()[1].split()[0] == "depend"
    assert [line.split()[0] for line in explain("./x").splitlines()[1:]] == ["read", "write", "exec", "native"]
    assert "code      deny" in explain("code:marshal")
    assert "at load" in explain("call:nobody.lists_this")
    policy = tmp_path / "p.json"
    policy.write_text(json.dumps({"version": 1, "rules": [
        {"id": "mine", "effect": "call", "match": ["os.system"], "then": "allow", "why": "because"}]}))
    assert "allow by rule mine" in explain("--policy", policy, "call:os.system")
    assert ": because\n" in explain("--policy", policy, "call:os.system")
    assert guard("policy", "explain").returncode == 2


@pytest.mark.parametrize("name, rule", [
    ("posix.system", "exec-call"), ("os.execv", "exec-call"), ("posix.remove", "file-call"), ("os.chmod", "file-call"),
    ("posix.open", "file-call"), ("os.getcwd", "system-call"), ("sys.exit", "system-call"), ("sys.modules", "import-call")])
def test_reasons_of_denials_are_true(name, rule):
    lines = explain(f"call:{name}").splitlines()
    assert all(f"deny by rule {rule} " in line for line in lines[1:]) and len(lines) == 2


def test_add_makes_and_extends(tmp_path):
    policy = tmp_path / "p.json"
    run = guard("policy", "add", "--to", policy, "call", "mypkg.rebuild", "--model", "hf:org/name@" + "a" * 40,
                "--why", "measured")
    assert run.returncode == 0, run.stderr
    first = json.loads(policy.read_text())
    assert first["version"] == 1
    [rule] = first["rules"]
    assert rule["effect"] == "call" and rule["match"] == ["mypkg.rebuild"] and rule["then"] == "allow"
    assert rule["model"] == ["hf:org/name"] and rule["revision"] == "a" * 40 and rule["why"] == "measured"
    assert guard("policy", "add", "--to", policy, "import", "weird[*].name", "--path", "/models/**").returncode == 0
    second = json.loads(policy.read_text())
    assert second["rules"][1:] == first["rules"]
    assert second["rules"][0]["path"] == ["/models/**"]
    # The name is meant literally.
    asked = json.loads(policy.read_text())["rules"][0]["match"]
    assert asked == [r"weird\[\*].name"]
    assert guard("policy", "check", policy).returncode == 0


def test_add_then_scan(tmp_path):
    """The rule does what it says, for the name and the content that it names."""
    class Call:
        def __reduce__(self):
            return os.system, ("true",)
    evil = tmp_path / "evil.pkl"
    evil.write_bytes(pickle.dumps(Call()))
    policy = tmp_path / "p.json"
    assert guard("scan", evil).returncode == 1
    for effect in "import", "call":
        assert guard("policy", "add", "--to", policy, effect, "posix.system", "--path", evil).returncode == 0
    assert guard("scan", "--policy", policy, evil).returncode == 0
    other = tmp_path / "other.pkl"
    other.write_bytes(evil.read_bytes())
    assert guard("scan", "--policy", policy, other).returncode == 1


def test_add_keeps_the_file(tmp_path):
    policy = tmp_path / "p.json"
    policy.write_text('{\n  "version": 1,\n  "mode": "audit",\n  "rules": [\n    {"id": "a", "effect": "call", '
                      '"match": ["x.y"], "then": "deny"}\n  ]\n}\n')
    policy.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(policy)
    assert guard("policy", "add", "--to", link, "depend", "org/base").returncode == 0
    assert link.is_symlink() and policy.stat().st_mode & 0o777 == 0o640
    text = policy.read_text()
    assert '"mode": "audit"' in text and json.loads(text)["rules"][1]["id"] == "a"
    assert sorted(os.listdir(tmp_path)) == ["link.json", "p.json"]


def test_add_refuses(tmp_path):
    policy = tmp_path / "p.json"
    for words in (["call", "a.b"], ["--to", policy, "call"], ["--to", policy, "cal", "a.b"],
                  ["--to", policy, "call", ""],
                  ["--to", policy, "call", "a.b", "--sha256", "xyz"], ["--to", policy, "call", "a.b", "--nonsense"],
                  ["--to", policy, "call", "a.b", "c.d"]):
        run = guard("policy", "add", *words)
        assert run.returncode == 2 and run.stderr.startswith("guard policy: "), words
    assert not policy.exists()
    policy.write_text('{"version": 1, "rules": [}')
    run = guard("policy", "add", "--to", policy, "call", "a.b")
    assert run.returncode == 1 and f"{policy}:1:" in run.stderr
    assert policy.read_text() == '{"version": 1, "rules": [}'
    assert guard("policy", "add", "--to", tmp_path / "no" / "p.json", "call", "a.b").returncode == 2


def test_add_at_the_same_time(tmp_path):
    """Two that write at once lose no rule and no file."""
    policy = tmp_path / "p.json"
    policy.write_text(EMPTY)
    runs = []
    threads = [threading.Thread(target=lambda n=n: runs.append(guard("policy", "add", "--to", policy, "call",
                                                                     f"m.f{n}")))
               for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {run.returncode for run in runs} == {0}
    assert sorted(rule["match"][0]
                  for rule in json.loads(policy.read_text())["rules"]) == sorted(f"m.f{n}" for n in range(12))


@pytest.mark.parametrize("words", [[], ["nonsense"], ["show", "x"], ["show", "--policy"], ["check"],
                                   ["check", "--bogus"], ["check", "a", "b"]])
def test_wrong_usage(words):
    run = guard("policy", *words)
    assert run.returncode == 2 and run.stderr.startswith("guard policy: ")


def test_version_everywhere():
    verbs = ["run", "scan", "report", "lock", "learn", "policy"]
    for words in [], *([verb] for verb in verbs), *(["policy", verb] for verb in ("show", "check", "explain", "add")):
        run = guard(*words, "--version")
        assert run.returncode == 0 and run.stdout.startswith("guard ") and not run.stderr, words


def test_help():
    for words in ["--help"], ["add", "--help"], ["show", "-h"]:
        run = guard("policy", *words)
        assert run.returncode == 0 and run.stdout.startswith("Usage: guard policy")

"""policy.schema.json and the code that reads policies accept the same."""
import json
from concurrent.futures import ThreadPoolExecutor

import jsonschema

from conftest import ROOT
from guard_command import guard

SCHEMA = json.loads((ROOT / "policy" / "policy.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
RULE = SCHEMA["$defs"]["rule"]["properties"]

ANY = [None, True, False, 0, 1, 2, -1, 1.5, "", "x", "*", "@x", [], ["x"], ["x", "y"], [""], [1], [None], [[]], {}, {"x": 1}]
OWN = {
    "mode": ["enforce", "audit", "off", "Enforce"],
    "limits": [{"quiet_seconds": value} for value in (0, 300, 86400, 86401, -1, 1.5, "1")],
    "caches": [{key: value} for key in ("paths", "modules", "path") for value in ("~/x", ["a", "b"], [1], None)],
    "switches": [{"DISABLE_SAFETENSORS_CONVERSION": True}, {"DISABLE_SAFETENSORS_CONVERSION": 1},
                 {"A": {"value": "1", "why": "x"}}, {"A": {"value": "1"}}, {"A": {"why": "x"}},
                 {"A": {"value": 1, "why": "x"}}, {"A": {"report": True, "why": "x"}},
                 {"A": {"report": False, "why": "x"}}, {"A": {"value": "1", "report": True, "why": "x"}},
                 {"A": {"value": "1", "report": True}}, {"A": {"value": "1", "why": "x", "more": 1}}, {"A=B": False},
                 {"A=B": {"value": "1", "why": "x"}}, {"": {"value": "1", "why": "x"}}],
    "rules": [[{"effect": "call", "then": "deny"}], [{"effect": "call"}], [{"then": "deny"}],
              [{"effect": "call", "then": "deny", "mach": "a"}]],
}
OWN_RULE = {
    "effect": [*SCHEMA["$defs"]["effect"]["enum"], ["call", "exec"], ["call", "cal"]],
    "then": ["allow", "warn", "deny", "Deny", ["deny"]],
    "otherwise": ["allow", "warn", "deny", "x"],
    "severity": ["info", "low", "medium", "high", "critical", ["low"]],
    "when": ["rest", "load", "live", ["rest", "live"], ["rest", "x"]],
    "origin": [*SCHEMA["$defs"]["origin"]["enum"], ["app", "graph"], ["app", "x"]],
    "home": ["unknown", "app", "stdlib", "installed", "model", "temporary", ["app", "model"], ["app", "x"], "a*"],
    "object": ["unknown", "value-class", "class", "finalizer", "function", "module", "other", ["class", "x"], "c*"],
    "match": ["a" * 4096, "a" * 4097, ["a" * 4097], ["a", ""]],
    "path": ["/a", "**/a", "**", "a", "./a", ["/a", "a"], "/" + "a" * 4096],
    "model": ["hf:a/b", "hf:a/b@c", "hf:*@*", "hf:**", "file:/a", "file:/a@b", "*", "**/a", "torchhub:a/b", "keras:a",
              "kaggle:a", "ms:a/b", "mlflow:a/b", "a/b", ["hf:a/b", "a/b"]],
    "sha256": ["0" * 64, "0" * 63, "0" * 65, "A" * 64, "g" * 64],
    "expires": ["2027-01-31", "2027-01-31T12:00:00Z", "2027-01-31T12:00:00", "2027-13-01", "2027-00-01", "2027-01-00",
                "2027-01-32", "1969-12-31", "2027-01-31T24:00:00Z", "2027-01-31T12:60:00Z", "2027-01-31T12:00:60Z",
                "2027-01-31T12:00:61Z", "2027-1-1", "27-01-31"],
    "args": [[value] for value in ("a", "*", "**", "@known", "@string", "@x", "@", None, 1, [], ["a", "@name"],
                                   ["a", "@x"], ["a", None])] + [["a"] * 15, ["a"] * 16],
    "holds": [{place: "a.*"} for place in ("0", "12", "9999", "10000", "*", "x", "", "-1", "1 ")]
             + [{"0": value} for value in ("", [], ["a", "b"], [1], "@listed")],
}
TOGETHER = [{"effect": effect, "then": "deny", "match": "a.b", **more}
            for effect in ("call", ["call", "exec"], "read", ["import", "create"])
            for more in ({"args": ["a"]}, {"holds": {"0": "a"}}, {"otherwise": "warn"}, {"unlisted": False})]
TOGETHER += [{"effect": "call", "then": "deny", "otherwise": "warn"}, {"effect": "call", "then": "deny", "unlisted": True},
             {"effect": "call", "then": "deny", "unlisted": True, "match": "a.b"}]


def policies():
    yield {}
    yield {"version": 1}
    for key in (*SCHEMA["properties"], "verion"):
        for value in ANY + OWN.get(key, []):
            yield {"version": 1, key: value}
    for key in (*RULE, "mach"):
        for value in ANY + OWN_RULE.get(key, []):
            more = {"match": "a.b"} if key == "otherwise" else {}  # which it needs
            yield {"version": 1, "rules": [{"effect": "call", "then": "deny", **more, key: value}]}
    for rule in TOGETHER:
        yield {"version": 1, "rules": [rule]}


def only_code_knows(policy):
    """What no schema of one file can say: whose policy it is, and which switches another file makes known."""
    switches = policy.get("switches")
    turned = isinstance(switches, dict) and any(isinstance(value, bool) for value in switches.values())
    return policy.get("locked") is True or turned


def test_schema_and_code_agree(tmp_path):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    cases = [policy for policy in policies() if not only_code_knows(policy)]

    def judge(number):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(cases[number]))
        return guard("policy", "check", file)

    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(judge, range(len(cases))))
    accepted = [run.returncode == 0 for run in runs]
    differ = [f"{'code' if by_code else 'schema'} accepts {json.dumps(case)[:150]} {run.stderr}"
              for case, run, by_code in zip(cases, runs, accepted) if by_code != VALIDATOR.is_valid(case)]
    assert not differ, "\n".join(differ)
    assert all(run.returncode in (0, 1) for run in runs)
    assert 100 < sum(accepted) < len(cases) - 100


def test_the_built_in_policy_fits_the_schema():
    jsonschema.validate(json.loads((ROOT / "policy" / "default.json").read_text()), SCHEMA)

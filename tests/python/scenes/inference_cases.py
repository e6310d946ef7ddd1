"""What the scenes of inference share: many models in one program, each clean when it is loaded, that act when they are
used.

The policy lets everything be read, so that only what happens live is judged; the payload of each case touches the
marker of its own function."""
import json

from conftest import AttackCases, BenignCases, function_name

READS_ALL = {"version": 1, "rules": [{
    "id": "reads-all", "when": ["rest", "load"], "then": "allow", "why": "what happens live is what is tried",
    "effect": ["import", "create", "call", "depend", "code", "read", "write", "exec", "connect", "native", "malformed",
               "opaque"]}]}


def make(scene, name, text, env=None):
    """Runs a program that makes models, in the scene's folder."""
    script = scene.write(name, text)
    run = scene.run_python(script, env={"KERAS_BACKEND": "torch", **(env or {})})
    assert run.returncode == 0, str(run)


def run_cases(kind, scene, prelude, cases, policy=READS_ALL, **options):
    scene.path("policy.json").write_text(json.dumps(policy))
    scene.path("app").mkdir(exist_ok=True)
    script = scene.cases("app/infer.py", prelude, cases)
    env = {"KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    if kind is BenignCases:
        return BenignCases(scene, script, env=env)
    return AttackCases(scene, script, cases, policy=scene.path("policy.json"), env=env)


def marker(name):
    return f"markers/{function_name(name)}"


def check(cases, name, origin, rule, silent=False, native=False):
    """As AttackCases.check(); all denials of the case are in the name of what was loaded. `silent`: who asked for it
    never hears of the failure, and may be a thread without Python."""
    if silent and not cases.scene.no_guard:
        function = function_name(name)
        assert function in cases.without.markers, f"the attack does not fire without the guard\n{cases.without}"
        assert function not in cases.enforce.markers, f"the payload ran\n{cases.enforce}"
        assert function in cases.audit.markers, str(cases.audit)
    else:
        cases.check(name, native=native)
    denials = [record for record in cases.enforce.denials
               if record in cases.enforce.asked_by(cases.script, function_name(name))
               or function_name(name) in (record["name"] or "")]
    assert {(record["origin"], record["rule"]) for record in denials} == {(origin, rule)}, str(cases.enforce)

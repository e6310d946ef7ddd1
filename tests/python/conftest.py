"""How a scene runs: a real program in a real process, without the guard, under enforce and under audit.

attack()   the payload's marker file appears without the guard; under enforce it does not, the program gets an
           exception, stderr names the denial and a record names the Python line that asked; under audit all is as
           without the guard
benign()   the program behaves under enforce exactly as without the guard, and nothing is denied or said

A cases() program runs many small loads in one process, because importing torch costs seconds; each load is one
function, so that records can be told apart by the function that asked.
"""
import difflib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
LIBRARY = BUILD / "libguard.so"
COMMAND = BUILD / "guard"
SCENES = BUILD / "scenes"
RECORD_KEYS = frozenset("v time pid tid seq event mode decision rule severity effect name args path format size sha256 "
                        "locked model real parent from edge target field revision pinned named origin by why".split())
TIMEOUT = 240  # seconds; the slowest program, a cold torch.compile, takes 60 on two busy cores

sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser):
    parser.addoption("--no-guard", action="store_true",
                     help="run each program without the guard only: proves that the attacks fire and the rest works")


def pytest_configure(config):
    # Not below /tmp: code that lies in a temporary folder is no ordinary application.
    if config.option.basetemp is None:
        for folder in SCENES.glob("session-*"):
            if not Path("/proc", folder.name.rpartition("-")[2]).exists():
                shutil.rmtree(folder, ignore_errors=True)
        SCENES.mkdir(parents=True, exist_ok=True)
        config.option.basetemp = str(SCENES / f"session-{os.getpid()}")
    if not config.option.no_guard and not (LIBRARY.exists() and COMMAND.exists()):
        raise pytest.UsageError(f"{LIBRARY} or {COMMAND} is missing: run `make` first")


@dataclass
class Run:
    """What one run of a program left behind."""
    mode: str  # "" without the guard
    returncode: int
    stdout: str
    stderr: str
    records: list = field(default_factory=list)

    @property
    def guard_lines(self):
        return [line for line in self.stderr.splitlines() if line.startswith("guard: ")]

    @property
    def denials(self):
        return [record for record in self.records if record["decision"] == "deny"]

    @property
    def warnings(self):
        return [record for record in self.records if record["decision"] == "warn"]

    @property
    def outcomes(self):
        """What a cases() program says of each case: "loaded", or its exceptions, outermost first."""
        return dict(json.loads(line) for line in self.stdout.splitlines() if line.startswith('["'))

    def asked_by(self, file, function=None):
        """The denials whose Python frames name this file (and function)."""
        name = os.path.basename(file)
        return [record for record in self.denials
                if any(os.path.basename(frame["file"]) == name and function in (None, frame["function"])
                       for frame in (record.get("by") or {}).get("python") or [])]

    def __str__(self):
        records = [summary(record) for record in self.records if record["decision"] != "allow"]
        return "\n".join([f"--- {self.mode or 'without the guard'}: status {self.returncode}",
                          "--- stdout", *cut(self.stdout.splitlines()), "--- stderr", *cut(self.stderr.splitlines()),
                          "--- records that warn or deny", *cut(records)])


def cut(lines):
    return lines if len(lines) <= 60 else [*lines[:30], f"... {len(lines) - 60} more ...", *lines[-30:]]


def summary(record):
    """A record on one line, for failure messages."""
    keys = ("pid", "decision", "event", "rule", "effect", "name", "args", "path", "origin")
    words = [f"{record[key]}" for key in keys if record.get(key)]
    frames = [f"{os.path.basename(frame['file'])}:{frame['line']}:{frame['function']}"
              for frame in (record.get("by") or {}).get("python") or []]
    return (" ".join(words) + " asked by " + " <- ".join(frames[:4]))[:400]


CASES_TAIL = '''

def _report(name, case):
    try:
        case()
        outcome = "loaded"
    except Exception as error:
        chain, outcome = error, ""
        while chain is not None:
            names = "/".join(c.__name__ for c in type(chain).__mro__[:-2])
            outcome += names + ": " + str(chain) + "; "
            chain = chain.__cause__ or chain.__context__
    print(_json.dumps([name, outcome]), flush=True)


if __name__ == "__main__":
    for _name, _case in CASES:
        _report(_name, _case)
'''


class Scene:
    """A folder with the files of one scene, and the ways to run programs on them."""

    def __init__(self, folder, no_guard=False, python=None):
        self.folder = folder
        self.no_guard = no_guard
        self.python = python or sys.executable
        self.home = folder / "home"
        self.home.mkdir()
        self._numbers = itertools.count()

    def path(self, name):
        return self.folder / name

    def marker(self, name="marker"):
        return self.folder / "markers" / name

    def write(self, name, text):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def environment(self, env=None):
        """An ordinary user's environment: nothing of the guard, offline, a home of its own."""
        environment = {"PATH": f"{Path(self.python).parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home),
                       "LANG": "C.UTF-8", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false",
                       "OMP_NUM_THREADS": "2", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1"}
        environment.update(env or {})
        return environment

    def run(self, command, mode="", policy=None, env=None, timeout=TIMEOUT, stdin=None):
        """Runs a program (a list of words) in the scene's folder. mode: "" without the guard, else GUARD_MODE."""
        environment = self.environment(env)
        logs = self.folder / "logs" / str(next(self._numbers))
        logs.mkdir(parents=True)
        if mode:
            environment.update(LD_PRELOAD=str(LIBRARY), GUARD_MODE=mode, GUARD_LOG=str(logs / "%p.jsonl"))
            if policy:
                environment["GUARD_POLICY"] = str(policy)
        process = subprocess.Popen([str(word) for word in command], cwd=self.folder, env=environment, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   errors="replace", start_new_session=True)
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            pytest.fail(f"{command} hung for {timeout} s ({mode or 'no guard'})\n{stdout}\n{stderr}", pytrace=False)
        records = []
        for log in sorted(logs.iterdir(), key=lambda path: int(path.stem)):
            own = [json.loads(line) for line in log.read_text().splitlines()]
            assert all(record.keys() == RECORD_KEYS for record in own), f"other keys than the interface names: {log}"
            programs = list(itertools.accumulate(record["event"] == "start" for record in own))  # exec starts another
            numbered = {(program, record["seq"]) for program, record in zip(programs, own)}
            assert len(numbered) == len(own), f"a record's number stands twice in {log}"
            records += own
        return Run(mode, process.returncode, stdout, stderr, records)

    def run_python(self, script, *arguments, **options):
        return self.run([self.python, script, *arguments], **options)

    def guard(self, *arguments, **options):
        """Runs the guard command itself."""
        return self.run([COMMAND, *arguments], **options)

    def clear_markers(self):
        shutil.rmtree(self.folder / "markers", ignore_errors=True)
        (self.folder / "markers").mkdir()

    def three_runs(self, script, *arguments, **options):
        """(without, enforce, audit), each a Run with the names of the markers that appeared; None where --no-guard."""
        runs = []
        for mode in ("",) if self.no_guard else ("", "enforce", "audit"):
            self.clear_markers()
            run = self.run_python(script, *arguments, mode=mode, **options)
            run.markers = sorted(path.name for path in (self.folder / "markers").iterdir())
            runs.append(run)
        return runs + [None] * (3 - len(runs))

    def attack(self, script, *arguments, marker="marker", asker=None, exception="PermissionError", **options):
        """Proves the attack in all three runs; returns (without, enforce, audit). `asker`: file that the record must
        name, the script unless told. `exception` must stand in the stderr or stdout of the enforced run."""
        without, enforce, audit = self.three_runs(script, *arguments, **options)
        assert marker in without.markers, f"the attack does not fire without the guard\n{without}"
        if self.no_guard:
            pytest.skip("--no-guard: the attack fires without it")
        assert marker not in enforce.markers, f"the payload ran\n{enforce}"
        assert exception in enforce.stderr + enforce.stdout, f"no {exception}\n{enforce}"
        assert "Traceback" not in enforce.stderr or enforce.returncode > 0, str(enforce)
        assert enforce.returncode >= 0, f"killed by a signal\n{enforce}"
        assert any(line.startswith("guard: denied ") for line in enforce.guard_lines), f"no denial line\n{enforce}"
        assert enforce.asked_by(asker or script), f"no deny record names {asker or script}\n{enforce}"
        assert all(record["mode"] == "enforce" for record in enforce.denials), str(enforce)
        assert_audit_as_without(without, audit)
        return without, enforce, audit

    def benign(self, script, *arguments, **options):
        """Proves that the program works and that the guard leaves it alone; returns (without, enforce)."""
        without = self.run_python(script, *arguments, **options)
        assert without.returncode == 0, f"the program fails without the guard\n{without}"
        if self.no_guard:
            pytest.skip("--no-guard: the program works without it")
        enforce = self.run_python(script, *arguments, mode="enforce", **options)
        assert_untouched(without, enforce)
        return without, enforce

    def cases(self, name, prelude, cases):
        """Writes a program that runs each of `cases` (name: the body of a function) and reports its outcome."""
        lines = ["import json as _json", textwrap.dedent(prelude), "CASES = []"]
        for case, body in cases.items():
            lines += ["", f"def {function_name(case)}():", textwrap.indent(textwrap.dedent(body).strip(), "    "), "",
                      f"CASES.append(({case!r}, {function_name(case)}))"]
        path = self.path(name)
        path.write_text("\n".join(lines) + CASES_TAIL)
        return path

    def add_rule(self, policy, effect, name, *options):
        """`guard policy add`: the way a user allows something."""
        run = self.guard("policy", "add", "--to", policy, effect, name, *options)
        assert run.returncode == 0, str(run)
        return policy

    def allow_as_told(self, run, policy):
        """Runs the commands that the second lines of the denials tell the user to run, writing to `policy`."""
        hints = [line.partition("to allow: ")[2] for line in run.guard_lines if "to allow: guard policy add" in line]
        assert hints, f"no line says how to allow it\n{run}"
        for hint in dict.fromkeys(hints):
            command = re.sub(r"--to \S+", f"--to '{policy}'", hint.replace("guard ", f"'{COMMAND}' ", 1), count=1)
            added = self.run(["sh", "-c", command])
            assert added.returncode == 0, f"{command}\n{added}"
        return policy


def function_name(case):
    return "case_" + re.sub(r"\W", "_", case)


def assert_same_result(without, other):
    difference = "\n".join(cut(list(difflib.unified_diff(without.stdout.splitlines(), other.stdout.splitlines(),
                                                        "without the guard", other.mode, n=1, lineterm=""))))
    assert other.returncode == without.returncode, \
        f"status {other.returncode}, without the guard {without.returncode}\n{difference}\n{other}"
    assert not difference, f"another result\n{difference}\n{other}"


def assert_audit_as_without(without, audit):
    assert_same_result(without, audit)
    assert audit.markers == without.markers, f"audit changes what happens\n{audit}"
    assert any("would deny" in line for line in audit.guard_lines), f"audit does not say `would deny`\n{audit}"
    assert not any(line.startswith("guard: denied") for line in audit.guard_lines), str(audit)
    assert all(record["mode"] == "audit" for record in audit.records), str(audit)
    assert audit.denials, f"no record of what would be denied\n{audit}"


def assert_untouched(without, enforce):
    assert not enforce.denials, f"denied\n{enforce}"
    assert not enforce.guard_lines, f"the guard speaks\n{enforce}"
    assert_same_result(without, enforce)


class AttackCases:
    """Many attacks, one program, three runs: each case is then checked for itself.

    `attacks`: name -> body of a function; the payload of each touches the marker function_name(name)."""

    def __init__(self, scene, script, attacks, **options):
        self.scene = scene
        self.script = script
        self.attacks = attacks
        self.without, self.enforce, self.audit = scene.three_runs(script, **options)

    def check(self, name, native=False):
        """`native`: a loader in C++ raises its own error for EACCES."""
        function = function_name(name)
        assert name in self.without.outcomes, f"the program ended before {name}\n{self.without}"
        assert function in self.without.markers, f"the attack does not fire without the guard\n{self.without}"
        if self.scene.no_guard:
            pytest.skip("--no-guard: the attack fires without it")
        enforce = self.enforce
        assert function not in enforce.markers, f"the payload ran\n{enforce}"
        outcome = enforce.outcomes.get(name, "the program ended before")
        expected = "Error" if native else "PermissionError"
        assert expected in outcome, f"{name}: {outcome}, not {expected}\n{enforce}"
        assert enforce.asked_by(self.script, function), f"no deny record names {function}\n{enforce}"
        assert any(line.startswith("guard: denied ") for line in enforce.guard_lines), f"no denial line\n{enforce}"
        assert self.audit.outcomes.get(name) == self.without.outcomes[name], str(self.audit)
        assert function in self.audit.markers, f"audit changes what happens\n{self.audit}"
        assert self.audit.asked_by(self.script, function), f"no record of what would be denied\n{self.audit}"

    def check_whole(self):
        """What is true of the runs as a whole."""
        if self.scene.no_guard:
            pytest.skip("--no-guard")
        assert self.enforce.returncode == 0, str(self.enforce)
        assert_audit_as_without(self.without, self.audit)


class BenignCases:
    """Many harmless loads in one program: each must come out under enforce as it does without the guard."""

    def __init__(self, scene, script, *arguments, **options):
        self.scene = scene
        self.script = script
        self.without = scene.run_python(script, *arguments, **options)
        self.enforce = None if scene.no_guard else scene.run_python(script, *arguments, mode="enforce", **options)

    def check(self, name):
        assert self.without.outcomes.get(name) == "loaded", f"{name} fails without the guard\n{self.without}"
        if self.scene.no_guard:
            pytest.skip("--no-guard: the program works without it")
        assert self.enforce.outcomes.get(name) == "loaded", \
            f"{name}: {self.enforce.outcomes.get(name)}\n{self.enforce}"
        assert not self.enforce.asked_by(self.script, function_name(name)), str(self.enforce)

    def check_whole(self):
        if self.scene.no_guard:
            pytest.skip("--no-guard")
        assert_untouched(self.without, self.enforce)


@pytest.fixture(scope="session")
def no_guard(request):
    return request.config.option.no_guard


@pytest.fixture
def scene(tmp_path, no_guard):
    return Scene(tmp_path, no_guard)


@pytest.fixture(scope="session")
def make_scene(tmp_path_factory, no_guard):
    """make_scene(name, python=None): a Scene that lives as long as the session, for programs that tests share."""
    return lambda name, python=None: Scene(tmp_path_factory.mktemp(name), no_guard, python)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder with tiny models: base, base_bin, adapter, adapter_bin; copy what you change."""
    import make_models

    folder = tmp_path_factory.mktemp("models")
    os.environ["HF_HUB_OFFLINE"] = "1"
    make_models.make_adapter(folder / "adapter", make_models.make_base(folder / "base"))
    make_models.make_adapter(folder / "adapter_bin", make_models.make_base(folder / "base_bin", "bin"))
    return folder

"""The built-in policy lets every kind of value load that ordinary programs pickle.

At rest by `guard scan`; and under the library in enforce, from files and from bytes, with a program's own classes too.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import COMMAND, LIBRARY
from scenes.test_stdlib_interpreters import INTERPRETERS

HERE = Path(__file__).parent
GENERATOR = HERE / "benign_values.py"
LIBRARIES = ("matplotlib", "networkx", "numpy", "pandas", "scipy", "sklearn", "joblib", "torch", "torch_saved", "transformers", "peft",
             "accelerate")
STDLIB = ("stdlib", "stdlib_asyncio")

# Refused on purpose, with the rule that says why.
REFUSED = {
    # rv_generic.__setstate__ executes what stands in the pickle
    "scipy.frozen": "code-in-state",
    "scipy.distributions": "code-in-state",
    # protocols 2 and 3 write __getnewargs_ex__ as a call of partial(cls.__new__, ...), which cannot be told from worse
    "own.keyword_arguments.p2": "attribute",
    "own.keyword_arguments.p3": "attribute",
}


def refused(name):
    return next((rule for prefix, rule in REFUSED.items() if name.startswith(prefix + ".")), None)


def generate(python, folder, sections):
    done = subprocess.run([python, "-W", "ignore", GENERATOR, folder, *sections], capture_output=True, text=True,
                          timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(list(folder.iterdir())) > 5, done.stderr[-3000:]
    return folder


def scan(folder):
    done = subprocess.run([COMMAND, "scan", "--format", "json", folder], capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(list(folder.iterdir()))
    return {Path(line["path"]).name: line for line in lines}


def load(python, folder):
    """What enforce refused, as lines."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GUARD_")}
    environment |= {"LD_PRELOAD": str(LIBRARY), "GUARD_QUIET": "1"}
    done = subprocess.run([python, "-W", "ignore", GENERATOR, "--load", folder], capture_output=True, text=True,
                          timeout=900,
                          env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    loaded = int(done.stderr.splitlines()[-1].split()[0])
    assert loaded > len(list(folder.iterdir())) / 2, done.stderr[-3000:]
    return done.stdout.splitlines()


def complaints(scanned):
    return [f"{name}: {line['verdict']}: " + "; ".join(f"{f['rule']} {f['effect']} {f['name']} {f['args']}"
                                                       for f in line["findings"]
                                                     if f["decision"] != "allow")
            for name, line in scanned.items() if line["verdict"] != "allow" and not refused(name)]


@pytest.fixture(scope="module", params=LIBRARIES)
def library_pickles(request, tmp_path_factory):
    return generate(sys.executable, tmp_path_factory.mktemp(request.param), [request.param])


def test_libraries(library_pickles):
    scanned = scan(library_pickles)
    assert complaints(scanned) == []
    for name, line in scanned.items():
        if refused(name):
            assert line["verdict"] == "deny" and refused(name) in {f["rule"] for f in line["findings"]}, name
    assert [line for line in load(sys.executable, library_pickles) if not refused(line)] == []


@pytest.fixture(scope="module", params=INTERPRETERS)
def stdlib_pickles(request, tmp_path_factory):
    python = INTERPRETERS[request.param]
    if python is None:
        pytest.skip(f"no such interpreter here: {request.param}")
    folder = tmp_path_factory.mktemp("stdlib")
    return str(python), generate(str(python), folder, STDLIB)


def test_standard_library(stdlib_pickles):
    python, folder = stdlib_pickles
    assert complaints(scan(folder)) == []
    assert load(python, folder) == []


@pytest.fixture(scope="module", params=INTERPRETERS)
def own_pickles(request, tmp_path_factory):
    python = INTERPRETERS[request.param]
    if python is None:
        pytest.skip(f"no such interpreter here: {request.param}")
    folder = tmp_path_factory.mktemp("own")
    return str(python), generate(str(python), folder, ["own"])


def test_own_classes(own_pickles):
    """At rest nobody knows them; in the program that has them they load, at every protocol."""
    python, folder = own_pickles
    for name, line in scan(folder).items():
        rules = {finding["rule"] for finding in line["findings"] if finding["decision"] != "allow"}
        assert refused(name) or rules <= {"unlisted-create", "unlisted-call"}, name
    assert [line for line in load(python, folder) if not refused(line)] == []


def test_generator_covers(tmp_path):
    """A section that silently made nothing would prove nothing."""
    found = subprocess.run([sys.executable, "-c", "import benign_values; print(*benign_values.sections())"], cwd=HERE,
                           capture_output=True, text=True, check=True).stdout.split()
    assert set(found) == {*LIBRARIES, *STDLIB, "own"}

"""The matrix of evasions.py: every malicious file is denied for the stated reason, every twin is allowed, and every
payload does fire in its real loader when nobody guards it."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import evasions
from conftest import LIBRARY, ROOT
from interpreters import every_interpreter

SCRIPT = ROOT / "tests" / "python" / "evasions.py"
ROWS = {**evasions.CLASSES, **evasions.FURTHER}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return evasions.write(tmp_path_factory.mktemp("evasions"))


@pytest.fixture(scope="module")
def lines(cells):
    return evasions.scan([path for cell in cells for path in (cell.evil, cell.twin)])


def load(cells, python, **environment):
    """Loads the malicious files in one process; the cells whose payload ran."""
    folder = cells[0].evil.parent
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps([[cell.loader, str(cell.evil)] for cell in cells]))
    for cell in cells:
        if cell.marker.is_dir():
            cell.marker.rmdir()
        cell.marker.unlink(missing_ok=True)
    plain = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONWARNINGS": "ignore",
             **environment}
    done = subprocess.run([python, SCRIPT, "load", manifest], cwd=folder, env=plain, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return [cell for cell in cells if cell.marker.exists()], done


def expected(cells, version, venv):
    return [cell for cell in cells if cell.case.fires and version < cell.case.until and (venv or not cell.case.needs)]


@pytest.mark.parametrize("row", [row for row, (_, entries) in ROWS.items() if isinstance(entries, list)])
def test_class(row, cells, lines):
    own = [cell for cell in cells if cell.row == row]
    assert own
    for cell in own:
        evil, twin = lines[str(cell.evil)], lines[str(cell.twin)]
        assert evil["verdict"] == "deny" and evasions.reason(cell, evil), (str(cell), evil)
        assert twin["verdict"] == "allow" and not twin["findings"], (str(cell), twin)


def test_all_classes_are_there():
    assert [row for row in ROWS if isinstance(row, int)] == list(range(1, 39))


@pytest.mark.parametrize("row", [row for row, (_, entries) in ROWS.items() if not isinstance(entries, list)])
def test_covered_elsewhere(row):
    path, _, function = ROWS[row][1].where.partition("::")
    assert f"def {function}(" in (ROOT / path).read_text()


def test_payloads_fire(cells):
    wanted = expected(cells, sys.version_info[:2], True)
    fired, done = load(wanted, sys.executable)
    assert {str(cell) for cell in wanted} == {str(cell) for cell in fired}, done.stdout


def test_payloads_do_not_fire_under_the_guard(cells):
    wanted = expected(cells, sys.version_info[:2], True)
    fired, done = load(wanted, sys.executable, LD_PRELOAD=str(LIBRARY), GUARD_QUIET="1")
    assert not fired, [str(cell) for cell in fired]
    assert done.stdout.count("PermissionError") == len(wanted), done.stdout


@pytest.mark.parametrize("interpreter", every_interpreter())
def test_payloads_fire_in_every_python(cells, interpreter):
    python = every_interpreter()[interpreter]
    out = subprocess.run([python, "-c",
                          "import sys\nprint(*sys.version_info[:2])\nfor module in 'lzma', 'bz2':\n    try:\n        "
                          "__import__(module)\n"
                          "    except ImportError:\n        print(module)"], stdout=subprocess.PIPE, text=True,
                         check=True).stdout.split()
    version, lacking = tuple(map(int, out[:2])), out[2:]
    plain = [cell for cell in cells if cell.loader in {"pickle", "gzip", "lzma", "bz2", "zipfile"} - set(lacking)]
    if lacking:
        pytest.skip(f"this Python lacks {lacking}, which evasions.py imports")
    wanted = expected(plain, version, False)
    assert len(wanted) > 50
    fired, done = load(wanted, python)
    assert {str(cell) for cell in wanted} == {str(cell) for cell in fired}, done.stdout


def test_table_of_the_readme():
    readme = Path(ROOT / "analyzer" / "README.md").read_text()
    for line in evasions.table():
        assert line in readme, f"run tests/python/evasions.py and put its table into analyzer/README.md: {line}"

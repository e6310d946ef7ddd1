"""How often the guard is wrong about what is harmless; `make check-benign`, a quarter of an hour.

What real libraries write is judged at rest and loaded under enforce: at most one file in a hundred may be denied, and
each that is flagged must stand in explained.tsv with the rule and the reason. What this machine has installed gives no
finding at all but for what stands there.
"""
import csv
import fnmatch
import io
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PYTHON = HERE.parent / "python"
sys.path.insert(0, str(PYTHON))

from guard_command import BUILD, COMMAND, LIBRARY, environment  # noqa: E402
from interpreters import every_interpreter  # noqa: E402

WORK = BUILD / "benign"  # not below /tmp: what lies in a temporary folder is no ordinary application
HOURS = 3600


def explanations():
    with (HERE / "explained.tsv").open() as lines:
        rows = [row for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if row
                and not row[0].startswith("#")]
    assert all(len(row) == 3 and all(row) for row in rows), "each line: a pattern of paths, rules, the reason"
    return rows


EXPLAINED = explanations()


def scan(*folders):
    done = subprocess.run([COMMAND, "scan", "--format", "json", *folders], capture_output=True, env=environment(),
                          timeout=HOURS)
    assert done.returncode in (0, 1, 2), done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def explained(result):
    """The line that explains all that is said of the file, or None."""
    rules = {finding["rule"] for finding in result["findings"] if finding["decision"] != "allow"}
    return next((row for row in EXPLAINED if fnmatch.fnmatchcase(result["path"], row[0])
                 and rules <= set(row[1].split())), None)


def complaints(results, verdicts):
    return [f"{result['path']}: {result['verdict']}: " + "; ".join(
        f"{finding['rule']} {finding['effect']} {finding['name']} {finding['args']}"
        for finding in result["findings"][:4])
        for result in results if result["verdict"] in verdicts and not explained(result)]


def run(python, *words, **more):
    done = subprocess.run([str(python), "-W", "ignore", *map(str, words)], capture_output=True, text=True,
                          timeout=HOURS,
                          env=environment(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", HOME=WORK / "home",
                                          **more))
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.fixture(scope="module", autouse=True)
def work():
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "home").mkdir(parents=True)


@pytest.fixture(scope="module")
def written():
    run(sys.executable, PYTHON / "make_benign.py", WORK / "files")
    run(sys.executable, PYTHON / "benign_values.py", WORK / "values")
    for name, python in every_interpreter().items():
        run(python, PYTHON / "benign_values.py", WORK / f"values-{name}", "stdlib", "stdlib_asyncio")
    return scan(WORK)


def test_written_at_rest(written):
    written = [result for result in written if result["format"]]
    denied = [result for result in written if result["verdict"] == "deny"]
    print(f"\n# {len(written)} files of models and pickles, {len(denied)} denied, "
          f"{sum(result['verdict'] == 'warn' for result in written)} warned of")
    assert len(written) > 5000
    assert complaints(written, {"deny", "error"}) == []
    assert len(denied) <= len(written) / 100
    # A line that explains nothing any more hides what comes next.
    met = [explained(result) for result in denied]
    assert [row for row in EXPLAINED if row[0].startswith(("*/files/", "*/values/")) and row not in met] == []


def test_written_under_enforce(written):
    """All of them in one process. What is refused is what is denied at rest, and so explained."""
    plain = run(sys.executable, PYTHON / "make_benign.py", "--load", WORK / "files")
    assert [line for line in plain if not line.startswith("loaded")] == [], "fails without the guard"
    guarded = run(sys.executable, PYTHON / "make_benign.py", "--load", WORK / "files", LD_PRELOAD=LIBRARY,
                  GUARD_QUIET=1)
    expected = {Path(result["path"]).relative_to(WORK / "files").as_posix() for result in written
                if result["verdict"] == "deny" and Path(result["path"]).is_relative_to(WORK / "files")}
    refused = {line.split()[1].rstrip(":") for line in guarded if not line.startswith("loaded")}
    assert refused == expected, guarded


def installed():
    """What people install, and what this project's own environment holds."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return [folder for folder in (Path("/usr"), BUILD / "venv" / "lib", pyenv) if folder.is_dir()]


@pytest.mark.parametrize("folder", installed(), ids=str)
def test_installed(folder):
    results = scan(folder)
    assert len(results) > 1000
    assert complaints(results, {"deny", "warn"}) == []


# --- Folders that hold no models

def encrypted(name, content, password):
    """A zip with one member in the old encryption of PKWARE's APPNOTE.TXT, 6.1, which zipfile reads and does not
    write."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def crc(value, byte):
        return zlib.crc32(bytes([byte]), value ^ 0xffffffff) ^ 0xffffffff  # without zlib's complements

    def update(byte):
        keys[0] = crc(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 255)) * 134775813 + 1) & 0xffffffff
        keys[2] = crc(keys[2], keys[1] >> 24)

    def encrypt(data):
        out = bytearray()
        for byte in data:
            temporary = (keys[2] | 2) & 0xffff
            out.append(byte ^ ((temporary * (temporary ^ 1) >> 8) & 255))
            update(byte)
        return bytes(out)

    for byte in password:
        update(byte)
    check = zlib.crc32(content)
    packed = encrypt(bytes(11) + bytes([check >> 24]) + content)
    common = struct.pack("<HHHHHIII", 20, 1, 0, 0, 0x21, check, len(packed), len(content))
    local = b"PK\3\4" + common + struct.pack("<HH", len(name), 0) + name + packed
    central = b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def ordinary_files(folder):
    import pyarrow
    random.seed(0)
    table = "a,b,c\n" + "".join(f"{i},{random.random()},import {i}\n" for i in range(5000))
    log = "".join(f"2024-01-01 00:00:{i % 60:02} INFO (worker {i}) cos\nsystem R. tree version={i}\n"
                  for i in range(5000))
    with pyarrow.CompressedOutputStream(str(folder / "table.csv.zst"), "zstd") as out:
        out.write(table.encode())
    for name, mode in {"logs.tar.xz": "w:xz", "logs.tar.gz": "w:gz", "logs.tar.bz2": "w:bz2", "logs.tar": "w"}.items():
        with tarfile.open(folder / name, mode) as archive:
            archive.add(__file__, "source.py")
            entry = tarfile.TarInfo("app.log")
            entry.size = len(log)
            archive.addfile(entry, io.BytesIO(log.encode()))
    (folder / "app.log").write_text(log)
    (folder / "table.csv").write_text(table)
    (folder / "rows.json").write_text(json.dumps([{"learner": i, "version": [1, 2], "gradient_booster": "x"}
                                                  for i in range(500)]))
    (folder / "learner.json").write_text(json.dumps({"learner": {"name": "a student"}, "version": [1, 0]}))
    (folder / "letter.docx").write_bytes(zipped({"[Content_Types].xml": "<Types/>",
                                                 "word/document.xml": "<w:document>text</w:document>" * 99}))
    (folder / "tool.jar").write_bytes(zipped({"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n",
                                              "a/B.class": b"\xca\xfe\xba\xbe" + bytes(99)}))
    (folder / "secret.zip").write_bytes(encrypted(b"model.pkl", random.randbytes(500), b"secret"))
    for number in range(20):
        (folder / f"random{number}.bin").write_bytes(random.randbytes(4000))


def test_folders_without_models():
    folder = WORK / "ordinary"
    folder.mkdir()
    ordinary_files(folder)
    with zipfile.ZipFile(folder / "secret.zip") as archive:
        assert len(archive.read("model.pkl", pwd=b"secret")) == 500, "no real encryption"
    results = scan(folder)
    assert len(results) >= 30
    assert [result for result in results if result["verdict"] != "allow" or result["findings"]
            or result["format"]] == []
    reader = f"import pathlib\nprint(sum(len(path.read_bytes()) for path in pathlib.Path({str(folder)!r}).iterdir()))"
    assert run(sys.executable, "-c", reader) == run(sys.executable, "-c", reader, LD_PRELOAD=LIBRARY)

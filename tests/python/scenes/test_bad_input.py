"""Files that are broken, endless or not files: no crash, no hang, and the program sees what it sees without the guard,
or a denial."""
import os
import pickle
import socket
import stat
import textwrap

import pytest

from conftest import function_name
from make_models import payload_bytes

SECONDS = 120  # for a program that without the guard takes ten on an idle machine

LOADERS = {"read": "file = open(FILE, 'rb', buffering=0); file.read(64); file.close()",
           "pickle": "pickle.load(open(FILE, 'rb'))",
           "pickle in Python": "pickle._load(open(FILE, 'rb'))",
           "torch": "torch.load(FILE, weights_only=False)",
           "torch weights_only": "torch.load(FILE)",
           "torch mmap": "torch.load(FILE, mmap=True, weights_only=False)",
           "jit": "torch.jit.load(FILE)",
           "numpy": "numpy.load(FILE, allow_pickle=True)",
           "joblib": "joblib.load(FILE)",
           "pandas": "pandas.read_pickle(FILE)",
           "safetensors": "safetensors.torch.load_file(FILE)",
           "json": "json.load(open(FILE, 'rb'))"}

PRELUDE = """
    import json, os, pickle, sys, warnings
    import joblib, numpy, pandas, safetensors.torch, torch
    warnings.simplefilter("ignore")
"""


def make_files(scene):
    import joblib
    import numpy
    import torch

    folder = scene.path("bad")
    folder.mkdir()
    torch.save({"w": torch.ones(1000), "note": "x" * 500}, scene.path("whole.pt"))
    torch.save({"w": torch.ones(1000)}, scene.path("whole_legacy.pt"), _use_new_zipfile_serialization=False)
    numpy.save(scene.path("whole.npy"), numpy.array([{"a": 1}, None], dtype=object))
    joblib.dump({"w": numpy.ones(100)}, scene.path("whole.joblib"), compress=3)
    scene.path("whole.pkl").write_bytes(pickle.dumps({"a": list(range(300)), "b": "text"}))
    for whole in sorted(scene.folder.glob("whole*")):
        data = whole.read_bytes()
        for part in (1, 3, len(data) // 2, len(data) - 1):
            (folder / f"truncated_{part}_{whole.name}").write_bytes(data[:part])
        middle = len(data) // 2
        wrong = bytes(255 - byte for byte in data[middle:middle + 8])
        (folder / f"damaged_{whole.name}").write_bytes(data[:middle] + wrong + data[middle + 8:])
        if whole.suffix != ".joblib":  # joblib itself never ends on zeros after a zlib stream
            (folder / f"trailing_{whole.name}").write_bytes(data + b"\0" * 100)
    (folder / "empty").touch()
    (folder / "one_byte").write_bytes(b"\x80")
    (folder / "proto_only").write_bytes(b"\x80\x04")
    (folder / "frame_of_all_memory").write_bytes(b"\x80\x04\x95" + b"\xff" * 8 + b".")
    (folder / "string_of_all_memory").write_bytes(b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f" + b"abc")
    (folder / "deep").write_bytes(b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".")
    (folder / "many_marks").write_bytes(b"\x80\x02" + b"(" * 500_000 + b".")
    (folder / "memo_of_a_million").write_bytes(b"\x80\x02Nr\x00\x00\x10\x00.")
    (folder / "not_utf8.json").write_bytes(b'{"base_model_name_or_path": "\xff\xfe"}')
    (folder / "deep.json").write_bytes(b"[" * 100_000)
    (folder / "directory").mkdir()
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nothing")
    (folder / "null").symlink_to("/dev/null")
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(folder, os.O_RDONLY)
    listener.bind(f"/proc/self/fd/{here}/socket")
    os.close(here)
    listener.close()
    (folder / "name with spaces\n\x1b[31m and \udcff bytes").write_bytes(b"\x80\x04N.")
    return folder


@pytest.fixture(scope="module")
def runs(make_scene):
    """Every loader on every file, in one process a mode."""
    scene = make_scene("bad_input")
    folder = make_files(scene)
    script = scene.path("all.py")
    body = textwrap.dedent(PRELUDE) + "\n"
    for name, code in LOADERS.items():
        body += f"def {function_name(name)}(FILE):\n    {code}\n"
    body += textwrap.dedent("""
        for name in sorted(os.listdir(sys.argv[1])):
            for case in [value for key, value in sorted(globals().items()) if key.startswith("case_")]:
                before = len(os.listdir("/proc/self/fd"))
                try:
                    case(os.path.join(sys.argv[1], name))
                    outcome = "loaded"
                except Exception as error:
                    outcome = type(error).__name__
                    del error
                leaked = len(os.listdir("/proc/self/fd")) - before
                outcome += " and a descriptor" if leaked else ""
                print(json.dumps([case.__name__ + " " + ascii(name), outcome]), flush=True)
    """)
    script.write_text(body)
    without = scene.run_python(script, folder, timeout=SECONDS)
    assert without.returncode == 0, str(without)
    enforce = audit = None
    if not scene.no_guard:
        enforce = scene.run_python(script, folder, mode="enforce", timeout=SECONDS)
        audit = scene.run_python(script, folder, mode="audit", timeout=SECONDS)
    return without, enforce, audit


def test_outcomes(runs):
    """The same as without the guard, or a denial."""
    without, enforce, audit = runs
    assert len(without.outcomes) > 300
    if enforce is None:
        pytest.skip("--no-guard")
    assert enforce.returncode == 0, f"{enforce.returncode}\n{enforce.stderr}"
    # What a denial becomes: torch.jit.load and safetensors make errors of their own of EACCES.
    denied = {"case_jit": "RuntimeError", "case_safetensors": "FileNotFoundError"}
    others = {case: (outcome, enforce.outcomes.get(case)) for case, outcome in without.outcomes.items()
              if enforce.outcomes.get(case) not in (outcome, denied.get(case.partition(" ")[0], "PermissionError"))}
    assert not others, "\n".join(f"{case}: {outcomes}" for case, outcomes in others.items())
    changed = {case: (outcome, audit.outcomes.get(case)) for case, outcome in without.outcomes.items()
               if audit.outcomes.get(case) != outcome}
    assert audit.returncode == 0 and not changed, f"audit changes {changed}\n{audit.stderr}"


def test_what_loads_is_not_denied(runs):
    """None of these files holds a payload: what loads all the same is denied only where readers disagree about it."""
    without, enforce, _ = runs
    if enforce is None:
        pytest.skip("--no-guard")
    denied = [case for case, outcome in without.outcomes.items()
              if outcome == "loaded" and "case_read" not in case and enforce.outcomes[case] != "loaded"]
    assert all("trailing_" in case or "damaged_" in case or "truncated_" in case for case in denied), denied
    empty = [case for case in without.outcomes if "'empty'" in case or "'one_byte'" in case]
    assert all(enforce.outcomes[case] == without.outcomes[case] for case in empty), \
        {case: enforce.outcomes[case] for case in empty}


def test_messages(runs):
    """One printable line each; control characters in names never reach the terminal."""
    _, enforce, audit = runs
    if enforce is None:
        pytest.skip("--no-guard")
    for run in (enforce, audit):
        assert "\x1b" not in run.stderr, repr(run.stderr)
        for line in run.guard_lines:
            assert line.startswith(("guard: denied ", "guard: would deny ", "guard: to allow: ")), line


def run_all(scene, script, *arguments, **options):
    """(without, enforce, audit), each ended by itself and in time."""
    runs = scene.three_runs(script, *arguments, timeout=SECONDS, **options)
    assert runs[0].returncode == 0, str(runs[0])
    if scene.no_guard:
        pytest.skip("--no-guard")
    return runs


def test_huge_files(scene):
    """A 1 GB file of zeros, and a sparse one of 8 TB that begins as a small pickle."""
    with open(scene.path("zeros"), "wb") as file:
        file.truncate(1 << 30)
    with open(scene.path("huge.pkl"), "wb") as file:
        file.write(pickle.dumps({"a": 1}))
        file.truncate(8 << 40)
    with open(scene.path("huge_protocol"), "wb") as file:
        file.write(b"\x80\x04")
        file.truncate(8 << 40)
    script = scene.write("huge.py", """
        import hashlib, json, mmap, pickle

        def outcome(function, name):
            try:
                with open(name, "rb") as file:
                    print(name, function.__name__, function(file))
            except Exception as error:
                print(name, function.__name__, type(error).__name__)

        def digest(file):
            return hashlib.file_digest(file, "sha1").hexdigest()

        def tail(file):
            file.seek(-4, 2)
            return file.read()

        def mapped(file):
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
                return mapping[:2], mapping[-1]

        for name in ("zeros", "huge.pkl", "huge_protocol"):
            for function in (pickle.load, tail, mapped):
                outcome(function, name)
        outcome(digest, "zeros")
    """)
    without, enforce, audit = run_all(scene, script)
    assert "zeros digest 2a492f15396a6768bcbca016993f4b4c8b0b5307" in without.stdout, str(without)
    assert audit.stdout == without.stdout, str(audit)
    assert enforce.returncode == 0, str(enforce)
    for before, after in zip(without.stdout.splitlines(), enforce.stdout.splitlines(), strict=True):
        assert after == before or after.endswith("PermissionError") and "zeros" not in after, f"{before}\n{enforce}"


def test_fifo(scene):
    """What comes through a FIFO cannot be judged beforehand: it is passed untouched and judged live."""
    os.mkfifo(scene.path("clean.fifo"))
    os.mkfifo(scene.path("poisoned.fifo"))
    scene.path("poisoned.pkl").write_bytes(payload_bytes(scene.marker()))
    scene.path("clean.pkl").write_bytes(pickle.dumps({"a": [1] * 1000}))
    script = scene.write("fifo.py", """
        import os, pickle, subprocess
        os.close(os.open("clean.fifo", os.O_RDONLY | os.O_NONBLOCK))
        for kind in ("clean", "poisoned"):
            writer = subprocess.Popen(["cp", kind + ".pkl", kind + ".fifo"])
            with open(kind + ".fifo", "rb") as fifo:
                print(sorted(pickle.load(fifo)), flush=True)
            writer.wait()
    """)
    _, enforce, _ = scene.attack(script)
    assert enforce.stdout == "['a']\n", f"the clean one must work\n{enforce}"


def test_devices(scene):
    script = scene.write("devices.py", """
        import os, pickle
        for name in ("/dev/null", "/dev/zero", "/dev/urandom", "/proc/self/status", "/proc/self/mem", "/sys/kernel/mm"):
            try:
                with open(name, "rb") as file:
                    print(name, len(file.read(16)))
            except OSError as error:
                print(name, error.errno)
        for name in ("/dev/null", "/dev/zero", "/proc/version"):
            try:
                with open(name, "rb") as file:
                    pickle.load(file)
            except Exception as error:
                print(name, type(error).__name__)
        with open("/proc/self/fd/0", "rb") as file:
            print(file.read(1))
    """)
    scene.benign(script, timeout=SECONDS)


def test_unreadable(scene):
    """A file that the user may not read gives the kernel's own error, and no word of the guard's."""
    scene.path("secret.pkl").write_bytes(payload_bytes(scene.marker()))
    scene.path("secret.pkl").chmod(0)
    script = scene.write("unreadable.py", """
        import os, pickle
        if os.geteuid() == 0:
            os.seteuid(65534)
        try:
            with open("secret.pkl", "rb") as file:
                pickle.load(file)
        except OSError as error:
            print(type(error).__name__, error.errno, error.filename)
    """)
    without, _ = scene.benign(script)
    assert without.stdout == "PermissionError 13 secret.pkl\n"


def test_vanishing(scene):
    """Files that come, change and go in another thread while this one loads them."""
    scene.path("clean.pkl").write_bytes(pickle.dumps({"a": [1] * 200}))
    script = scene.write("vanish.py", """
        import os, pickle, shutil, threading, time

        stop = threading.Event()

        def stir():
            while not stop.is_set():
                shutil.copyfile("clean.pkl", "next.pkl")
                os.replace("next.pkl", "model.pkl")
                with open("model.pkl", "r+b") as file:
                    file.truncate(10)
                os.unlink("model.pkl")

        thread = threading.Thread(target=stir)
        thread.start()
        seen = set()
        end = time.monotonic() + 3
        while time.monotonic() < end:
            try:
                with open("model.pkl", "rb") as file:
                    seen.add(str(pickle.load(file)["a"][0]))
            except Exception as error:
                seen.add(type(error).__name__)
        stop.set()
        thread.join()
        print(seen - {"1", "FileNotFoundError", "EOFError", "UnpicklingError", "ValueError", "PermissionError"})
        with open("clean.pkl", "rb") as file:
            os.unlink("clean.pkl")
            print(len(pickle.load(file)["a"]))
        shutil.copyfile("kept.pkl", "clean.pkl")
    """)
    scene.path("kept.pkl").write_bytes(scene.path("clean.pkl").read_bytes())
    without, enforce, audit = run_all(scene, script)
    assert without.stdout == enforce.stdout == audit.stdout == "set()\n200\n", f"{without}\n{enforce}\n{audit}"


def test_descriptors(scene):
    """A program that counts its descriptors, closes all of them, or runs out of them."""
    scene.path("clean.pkl").write_bytes(pickle.dumps({"a": 1}))
    scene.path("model.pkl").write_bytes(payload_bytes(scene.marker()))
    script = scene.write("descriptors.py", """
        import os, pickle, resource

        def descriptors():
            return sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1]

        before = descriptors()
        for _ in range(20):
            with open("clean.pkl", "rb") as file:
                pickle.load(file)
            try:
                open("model.pkl", "rb").close()
            except PermissionError:
                pass
        print(descriptors() == before)
        os.closerange(3, 1000)
        with open("clean.pkl", "rb") as file:
            print(file.fileno(), pickle.load(file))
        resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
        with open("clean.pkl", "rb") as file:
            print(file.fileno(), pickle.load(file))
    """)
    without, enforce, audit = run_all(scene, script)
    assert without.stdout == enforce.stdout == audit.stdout, f"{without}\n{enforce}\n{audit}"


def test_scan_of_bad_files(scene):
    """`guard scan` says of each file what it is, and ends with 2 where one could not be read."""
    folder = make_files(scene)
    if scene.no_guard:
        pytest.skip("--no-guard")
    import json

    run = scene.guard("scan", "--format", "json", folder, timeout=SECONDS)
    assert run.returncode in (0, 1, 2), str(run)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    names = {os.path.basename(line["path"]): line for line in lines}
    assert names["empty"]["verdict"] == "allow" and not names["empty"]["format"], names["empty"]
    regular = [path.name for path in folder.iterdir() if not path.is_symlink() and stat.S_ISREG(path.stat().st_mode)]
    assert not [name for name in regular if name.isprintable() and name not in names], str(run)
    missing = scene.guard("scan", scene.path("nothing"))
    assert missing.returncode == 2 and "nothing" in missing.stderr, str(missing)

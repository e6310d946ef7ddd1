"""Every row of hooks.def, called by its exact name, in every situation in which a program may call it."""
import os
import pathlib
import pickle
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build" / "libguard.so"
GUARD = ROOT / "build" / "guard"
ROWS = re.findall(r"^(?:HOOK|MAYBE)\((\w+), [^,]+, (\w+), ", (ROOT / "preload" / "hooks.def").read_text(), re.M)
# open_by_handle_at needs CAP_DAC_READ_SEARCH and a handle; openat2 is in no released libc that this runs on.
UNCALLED = {"open_by_handle_at", "openat2"}
READERS = [name for family, name in ROWS if family in ("open", "read", "map") and name not in UNCALLED]
LOADERS = [name for family, name in ROWS if family == "native"]
STARTERS = [name for family, name in ROWS if family == "exec"]


class Payload:
    def __reduce__(self):
        return os.system, ("exit 0",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hooks")
    sources = ROOT / "tests" / "hooks"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "libearly.so", sources / "early.c"], check=True)
    for name in ("driver", "environment", "strain"):
        subprocess.run(["gcc", "-rdynamic", "-pthread", "-o", folder / name, sources / f"{name}.c", "-ldl"], check=True)
    (folder / "poisoned.pkl").write_bytes(pickle.dumps(Payload(), 2))
    (folder / "clean.pkl").write_bytes(pickle.dumps([1, 2, 3], 2))
    (folder / "text").write_text("no model at all\n")
    return folder


def drive(folder, situation, symbol, file, preload=(LIBRARY,), **environment):
    run = subprocess.run([folder / "driver", situation, symbol, folder / file], capture_output=True, text=True,
                         timeout=60,
                         env={"LD_PRELOAD": ":".join(map(str, preload)), **environment} if preload else {})
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.strip(), run.stderr


def test_table_is_read():
    assert len(READERS) > 30 and len(STARTERS) == 14 and len(LOADERS) == 2


@pytest.mark.parametrize("symbol", READERS)
def test_symbol(folder, symbol):
    writes_only = symbol.startswith("creat")
    expected = "bytes" if writes_only else "denied"
    assert drive(folder, "plain", symbol, "poisoned.pkl", preload=())[0] == "bytes"
    for situation in ("plain", "thread", "fork", "vfork"):
        said, lines = drive(folder, situation, symbol, "poisoned.pkl")
        assert said == expected, situation
        assert writes_only or ("guard: denied" in lines and "posix.system" in lines), situation
    for file in ("clean.pkl", "text"):
        assert drive(folder, "plain", symbol, file) == ("bytes", "")
    assert drive(folder, "plain", symbol, "poisoned.pkl", GUARD_MODE="audit")[0] == "bytes"
    assert drive(folder, "plain", symbol, "poisoned.pkl", GUARD_MODE="off") == ("bytes", "")


@pytest.mark.parametrize("symbol", LOADERS)
def test_symbol_that_loads_native_code(folder, symbol):
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "model.safetensors").touch()
    for library in (model / "libown.so", folder / "libown.so"):
        library.write_bytes((folder / "libearly.so").read_bytes())
    for situation in ("plain", "thread", "fork"):
        assert drive(folder, situation, symbol, "model/libown.so", preload=())[0] == "bytes"
        said, lines = drive(folder, situation, symbol, "model/libown.so")
        assert said == "denied" and "model/libown.so: loads native code" in lines, situation
        assert drive(folder, situation, symbol, "libown.so") == ("bytes", "")
    assert drive(folder, "plain", symbol, "model/libown.so", GUARD_MODE="audit")[0] == "bytes"
    assert drive(folder, "plain", symbol, "model/libown.so", GUARD_MODE="off") == ("bytes", "")
    assert drive(folder, "plain", symbol, "no such/lib.so")[0] == "errno 8"


def test_hooks_before_our_constructor(folder):
    assert drive(folder, "plain", "open64", "poisoned.pkl", preload=(LIBRARY, folder / "libearly.so"))[0] == "denied"
    assert drive(folder, "plain", "open64", "poisoned.pkl", preload=(folder / "libearly.so", LIBRARY))[0] == "denied"


def test_loaded_twice_stands_aside(folder, tmp_path):
    copy = tmp_path / "libguard-copy.so"
    copy.write_bytes(LIBRARY.read_bytes())
    assert drive(folder, "plain", "open64", "poisoned.pkl", preload=(LIBRARY, copy))[0] == "denied"


@pytest.mark.parametrize("symbol", STARTERS + ["vfork"])
def test_children_keep_the_guard(folder, symbol):
    def variables(**environment):
        run = subprocess.run([folder / "environment", symbol], capture_output=True, text=True, timeout=60,
                             env={"LD_PRELOAD": str(LIBRARY), **environment})
        found = dict(line.split("=", 1) for line in run.stdout.splitlines() if "=" in line)
        return {name: value for name, value in found.items() if name not in ("PWD", "SHLVL", "_", "OLDPWD")}

    assert variables() == {"LD_PRELOAD": str(LIBRARY)}
    assert variables(GUARD_MODE="audit", GUARD_LOG="a'b c.log", OTHER="gone") == {
        "LD_PRELOAD": str(LIBRARY), "GUARD_MODE": "audit", "GUARD_LOG": "a'b c.log"}


def test_other_preloads_are_kept(folder):
    early = folder / "libearly.so"
    run = subprocess.run(["/usr/bin/env", f"LD_PRELOAD={early}", "/usr/bin/env"], capture_output=True, text=True,
                         env={"LD_PRELOAD": str(LIBRARY)})
    assert f"LD_PRELOAD={early}:{LIBRARY}\n" in run.stdout
    shell = subprocess.run(["/usr/bin/env", f"LD_PRELOAD={early}", sys.executable, "-c", "import os; os.system('env')"],
                           capture_output=True, text=True, env={"LD_PRELOAD": str(LIBRARY)})
    assert f"LD_PRELOAD={early}:{LIBRARY}\n" in shell.stdout


def test_sanitizers_come_first(folder):
    """Their library ends a program in which it is not the first: it keeps its place before the guard."""
    words = ["gcc", "-x", "c", "-", "-fsanitize=address", "-o", folder / "sanitized"]
    subprocess.run(words, input="int main(void) { return 0; }", text=True, check=True)
    asan = subprocess.check_output(["gcc", "-print-file-name=libasan.so"], text=True).strip()
    for start in ([GUARD, "run", "--"], ["/usr/bin/env", f"LD_PRELOAD={asan}"],
                  ["sh", "-c", f'LD_PRELOAD={asan} "$0"']):
        before = {"LD_PRELOAD": asan} if start[0] == GUARD else {"LD_PRELOAD": str(LIBRARY)}
        run = subprocess.run([*start, folder / "sanitized"], capture_output=True, text=True,
                             env={"PATH": "/usr/bin:/bin", "ASAN_OPTIONS": "detect_leaks=0", **before})
        assert (run.returncode, run.stderr) == (0, ""), (start, run)


@pytest.mark.parametrize("name, value", [("GUARD_MODE", "enforced"), ("GUARD_QUIET", "yes"), ("GUARD_LOCK", "/no/lock"),
                                         ("GUARD_POLICY", "/no/such/policy.json"), ("GUARD_LOG", "/" + "x" * 5000)])
def test_nonsense_in_the_environment_denies_every_load(folder, name, value):
    said, lines = drive(folder, "plain", "open64", "clean.pkl", **{name: value})
    assert said == "denied" and "guard-fault" in lines
    assert drive(folder, "plain", "open64", "text", **{name: value}) == ("bytes", "")


def test_policy_writable_by_others_is_not_trusted(folder, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"version": 1, "rules": []}')
    policy.chmod(0o644)
    assert drive(folder, "plain", "open64", "clean.pkl", GUARD_POLICY=str(policy))[0] == "bytes"
    policy.chmod(0o666)
    said, lines = drive(folder, "plain", "open64", "clean.pkl", GUARD_POLICY=str(policy))
    assert said == "denied" and str(policy) in lines
    said, lines = drive(folder, "plain", "open64", "clean.pkl", GUARD_POLICY=str(policy), GUARD_MODE="audit")
    assert said == "bytes" and lines.count("built-in policy") == 1


def test_programs_without_a_runtime_are_let_be(folder, tmp_path):
    run = subprocess.run(["cp", folder / "poisoned.pkl", tmp_path / "copy"], capture_output=True, text=True,
                         env={"LD_PRELOAD": str(LIBRARY)})
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "copy").read_bytes() == (folder / "poisoned.pkl").read_bytes()


def strain(folder, case, file, other="text", preload=LIBRARY, **environment):
    run = subprocess.run([folder / "strain", case, folder / file, folder / other], capture_output=True, text=True,
                         timeout=60, cwd=folder, env={**({"LD_PRELOAD": str(preload)} if preload else {}), **environment})
    assert run.returncode == 0, f"{run.returncode} {run.stdout}{run.stderr}"
    return run.stdout.strip()


# What libc closes itself is forgotten too; a thread may have the smallest stack there is; O_DIRECT reads whole sectors; a sandbox
# may know another fstat.
@pytest.mark.parametrize("case", ["after-fclose", "after-closedir", "small-stack", "direct", "sandbox"])
def test_judged_all_the_same(folder, case):
    assert strain(folder, case, "poisoned.pkl", preload=None) == "bytes"
    assert strain(folder, case, "poisoned.pkl") == "denied"
    for file in ("clean.pkl", "text"):
        assert strain(folder, case, file) == "bytes"


def test_jump_out_of_a_judgement(folder):
    (folder / "long.pkl").write_bytes(pickle.dumps([str(number) for number in range(1_000_000)], 2))
    assert strain(folder, "after-jump", "poisoned.pkl", "long.pkl", preload=None) == "bytes"
    assert strain(folder, "after-jump", "poisoned.pkl", "long.pkl") == "denied"
    assert strain(folder, "after-jump", "clean.pkl", "long.pkl") == "bytes"


def test_reading_one_file_again_and_again_takes_no_memory(folder):
    (folder / "written.pkl").write_bytes(pickle.dumps([str(number) for number in range(30_000)], 2))
    assert int(strain(folder, "again-and-again", "written.pkl")) < 128


# What is no model opens as ever; what is one is let through unjudged in audit alone.
@pytest.mark.parametrize("case, clean", [("no-memory", "denied"), ("no-descriptors", "bytes")])
def test_nothing_left(folder, case, clean):
    assert strain(folder, case, "poisoned.pkl", preload=None) == "bytes"
    assert [strain(folder, case, file) for file in ("poisoned.pkl", "clean.pkl", "text")] == ["denied", clean, "bytes"]
    for file in ("poisoned.pkl", "clean.pkl", "text"):
        assert strain(folder, case, file, GUARD_MODE="audit") == "bytes"


def test_environment_of_a_child_needs_no_stack(folder):
    assert strain(folder, "small-spawn", "text") == "bytes"


def test_no_message_is_the_kernels_affair(folder):
    assert strain(folder, "no-message", "text") == strain(folder, "no-message", "text", preload=None) == "errno 14"

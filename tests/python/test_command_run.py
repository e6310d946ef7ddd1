"""guard run: what it proves before it starts a program, what the program then gets, and every way to refuse."""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import textwrap

import pytest

from guard_command import BUILD, COMMAND, LIBRARY, environment, guard

SHOW = "import os; print(os.environ.get({!r}))"


def refused(run, *words):
    assert run.returncode == 125, (run.returncode, run.stdout, run.stderr)
    assert run.stderr.startswith("guard run: ") and run.stdout == ""
    for word in words:
        assert word in run.stderr, run.stderr


def compile_c(path, *flags, source="int main(void) { return 0; }"):
    subprocess.run(["gcc", "-x", "c", "-", "-o", path, *flags], input=source.encode(), check=True)
    return path


def test_the_program_runs_and_its_status_is_returned():
    run = guard("run", "--", sys.executable, "-c", "import sys; print('here'); sys.exit(7)")
    assert (run.returncode, run.stdout, run.stderr) == (7, "here\n", "")
    run = guard("run", "true")
    assert run.returncode == 0
    run = guard("run", "--", "sh", "-c", "kill -TERM $$")
    assert run.returncode == -signal.SIGTERM


def test_it_becomes_the_program():
    process = subprocess.Popen([COMMAND, "run", "--", "sh", "-c", "echo $$"], stdout=subprocess.PIPE, env=environment())
    output, _ = process.communicate(timeout=60)
    assert int(output) == process.pid


def test_the_guard_is_in_the_program():
    run = guard("run", "--", "cat", "/proc/self/maps")
    assert str(LIBRARY.resolve()) in run.stdout


def test_environment(tmp_path):
    (tmp_path / "p.json").write_text('{"version": 1, "rules": []}')
    run = guard("run", "--audit", "--policy", "p.json", "--log", "log.jsonl", "--quiet", "--", "env", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    got = dict(line.split("=", 1) for line in run.stdout.splitlines() if "=" in line)
    assert got["LD_PRELOAD"] == str(LIBRARY.resolve())
    assert got["GUARD_MODE"] == "audit" and got["GUARD_QUIET"] == "1"
    # Absolute, because programs change their folder.
    assert got["GUARD_POLICY"] == str(tmp_path / "p.json") and got["GUARD_LOG"] == str(tmp_path / "log.jsonl")
    plain = dict(line.split("=", 1) for line in guard("run", "--", "env").stdout.splitlines() if "=" in line)
    assert not [name for name in plain if name.startswith("GUARD_")]


def test_other_preloads_stay(tmp_path):
    other = compile_c(tmp_path / "other.so", "-shared", "-fPIC", source="int other;")
    for old in other, f"{other} {LIBRARY.resolve()}", f"{LIBRARY.resolve()}:{other}":
        run = guard("run", "--", sys.executable, "-c", SHOW.format("LD_PRELOAD"), env={"LD_PRELOAD": old})
        assert run.stdout.strip() == f"{other}:{LIBRARY.resolve()}", run.stderr


def test_options_of_the_command_are_its_own():
    run = guard("run", "echo", "--audit", "-h", "--", "x")
    assert run.stdout == "--audit -h -- x\n"


@pytest.mark.parametrize("words, says", [
    ([], "no command"), (["--"], "no command"), (["--nonsense", "true"], "no option"), (["--policy"], "needs a value"),
    (["--audit", "--enforce", "true"], "exclude"), (["--lock"], "needs a value")])
def test_wrong_usage(words, says):
    refused(guard("run", *words), says)


def test_not_found_and_not_executable(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("x")
    for word in "/nowhere/x", "no-such-command-anywhere", str(plain) + "/x", "":
        run = guard("run", "--", word)
        assert run.returncode == 127 and run.stderr.startswith("guard run: "), word
    for word in str(plain), str(tmp_path):
        run = guard("run", "--", word)
        assert run.returncode == 126 and "Permission denied" in run.stderr, word
    # As in a shell: an entry of PATH that may not be executed is passed over, and remembered.
    assert guard("run", "plain", env={"PATH": f"{tmp_path}:/bin"}).returncode == 126
    (tmp_path / "true").write_text("x")
    assert guard("run", "true", env={"PATH": f"{tmp_path}:/usr/bin:/bin"}).returncode == 0


def test_path_is_followed(tmp_path):
    script = tmp_path / "mine"
    script.write_text("#!/bin/sh\necho mine\n")
    script.chmod(0o755)
    assert guard("run", "mine", env={"PATH": f"{tmp_path}:/bin"}).stdout == "mine\n"
    assert guard("run", "mine", cwd=tmp_path, env={"PATH": ":/bin"}).stdout == "mine\n"
    assert guard("run", "./mine", cwd=tmp_path, env={"PATH": "/bin"}).stdout == "mine\n"


@pytest.mark.parametrize("first", ["#!/usr/bin/env python3", "#! /usr/bin/env -S python3 -B", f"#!{sys.executable} -B"])
def test_scripts(tmp_path, first):
    script = tmp_path / "script"
    script.write_text(f"{first}\n{SHOW.format('LD_PRELOAD')}\n")
    script.chmod(0o755)
    run = guard("run", script)
    assert run.stdout.strip() == str(LIBRARY.resolve()), run.stderr


def test_text_without_an_interpreter_is_the_shells(tmp_path):
    script = tmp_path / "script"
    script.write_text("echo from the shell\n")
    script.chmod(0o755)
    assert guard("run", script).stdout == "from the shell\n"


def test_static_programs_are_refused(tmp_path):
    for flags in ["-static"], ["-static-pie"]:
        refused(guard("run", "--", compile_c(tmp_path / "static", *flags)), "statically linked")
    script = tmp_path / "script"
    script.write_text(f"#!{tmp_path}/static\n")
    script.chmod(0o755)
    refused(guard("run", "--", script), "statically linked")
    indirect = tmp_path / "indirect"
    indirect.write_text("#!/usr/bin/env static\n")
    indirect.chmod(0o755)
    refused(guard("run", "--", indirect, env={"PATH": f"{tmp_path}:/bin"}), "statically linked")


def test_another_c_library_is_refused(tmp_path):
    program = compile_c(tmp_path / "musl", "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1")
    refused(guard("run", "--", program), "ld-musl-x86_64.so.1")


def test_another_machine_is_refused(tmp_path):
    foreign = tmp_path / "foreign"
    foreign.write_bytes(struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 243, 1, 0, 64, 0, 0, 64, 56, 0, 64,
                                    0, 0))
    foreign.chmod(0o755)
    refused(guard("run", "--", foreign), "another machine")
    foreign.write_bytes(b"\x7fELF\x01\x01\x01" + bytes(100))
    refused(guard("run", "--", foreign), "another machine")
    foreign.write_bytes(b"\x7fELF")
    refused(guard("run", "--", foreign), "damaged")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's set-user-ID program")
def test_programs_that_gain_privileges_are_refused(tmp_path):
    program = tmp_path / "suid"
    shutil.copy("/bin/true", program)
    os.chown(program, 65534, 65534)
    program.chmod(0o4755)
    refused(guard("run", "--", program), "gains privileges")
    program.chmod(0o2755)
    refused(guard("run", "--", program), "gains privileges")
    program.chmod(0o0755)
    assert guard("run", "--", program).returncode == 0


def installed(folder, library):
    """A copy of the command with `library` where an installation has it."""
    (folder / "bin").mkdir()
    (folder / "lib" / "guard").mkdir(parents=True)
    shutil.copy(COMMAND, folder / "bin" / "guard")
    if isinstance(library, bytes):
        (folder / "lib" / "guard" / "libguard.so").write_bytes(library)
    elif library:
        shutil.copy(library, folder / "lib" / "guard" / "libguard.so")
    return folder / "bin" / "guard"


def test_installed(tmp_path):
    command = installed(tmp_path, LIBRARY)
    run = guard("run", "--", "cat", "/proc/self/maps", command=command)
    assert run.returncode == 0 and str(tmp_path / "lib/guard/libguard.so") in run.stdout


def test_the_canary(tmp_path):
    """A library that ld.so would silently do without stops everything."""
    marker = tmp_path / "marker"
    command = installed(tmp_path, b"this is no library")
    refused(guard("run", "--", "touch", marker, command=command), "does not load into", "libguard.so")
    assert not marker.exists()


def test_the_canary_runs_no_program(tmp_path):
    """Constructors and all: the program itself runs once."""
    program = compile_c(tmp_path / "count", source=f"""
        #include <stdio.h>
        __attribute__((constructor)) static void count(void)
        {{ FILE *f = fopen("{tmp_path}/starts", "a"); fputs("x", f); fclose(f); }}
        int main(void) {{ return 0; }}""")
    assert guard("run", "--", program).returncode == 0
    assert (tmp_path / "starts").read_text() == "x"


def test_the_library_is_missing(tmp_path):
    refused(guard("run", "--", "true", command=installed(tmp_path, None)), "libguard.so is neither")


def test_a_path_that_ld_preload_cannot_hold(tmp_path):
    folder = tmp_path / "with space"
    folder.mkdir()
    refused(guard("run", "--", "true", command=installed(folder, LIBRARY)), "space")


def test_policy_faults(tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"version": 1,\n  "rules": [{"efect": "call"}]}')
    refused(guard("run", "--policy", policy, "--", "true"), f"{policy}:2:", "efect")
    refused(guard("run", "--", "true", env={"GUARD_POLICY": policy}), f"{policy}:2:")
    refused(guard("run", "--policy", tmp_path / "missing", "--", "true"), "no such file")
    refused(guard("run", "--policy", tmp_path, "--", "true"), "no regular file")
    os.mkfifo(tmp_path / "fifo")
    refused(guard("run", "--policy", tmp_path / "fifo", "--", "true"), "no regular file")
    policy.write_text('{"version": 1, "rules": []}')
    policy.chmod(0o666)
    refused(guard("run", "--policy", policy, "--", "true"), "written by everybody")
    policy.chmod(0o664)
    assert guard("run", "--policy", policy, "--", "true").returncode == 0
    (tmp_path / "link").symlink_to(policy)
    assert guard("run", "--policy", tmp_path / "link", "--", "true").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_strangers_policy(tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"version": 1, "rules": []}')
    os.chown(policy, 65534, 65534)
    refused(guard("run", "--policy", policy, "--", "true"), "owned neither")


LOCK = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"properties": [{"name": "guard:lock", "value": "1"}]}, "components": []}


def test_the_lock_is_checked_first(tmp_path):
    lock = tmp_path / "models.lock"
    for way in ({"words": ["--lock", lock]}, {"words": [], "env": {"GUARD_LOCK": lock}}):
        lock.unlink(missing_ok=True)
        run = lambda: guard("run", *way["words"], "--", sys.executable, "-c", SHOW.format("GUARD_LOCK"),
                            env=way.get("env"),
                            cwd=tmp_path)
        refused(run(), f"{lock}: cannot be opened: no such file")
        lock.write_text(json.dumps(LOCK, indent=1).replace('"1.6"', '"1.4"'))
        refused(run(), f"{lock}:3:17: this guard reads CycloneDX 1.6")
        lock.write_text(json.dumps(LOCK))
        assert run().stdout.strip() == str(lock), run().stderr
        lock.chmod(0o666)
        refused(run(), f"{lock}: cannot be trusted: it can be written by everybody")
    lock.chmod(0o644)
    assert guard("run", "--lock", "models.lock", "--", sys.executable, "-c", SHOW.format("GUARD_LOCK"),
                 cwd=tmp_path).stdout.strip() == str(lock)


def test_mode_of_the_environment():
    refused(guard("run", "--", "true", env={"GUARD_MODE": "audti"}), "audti")
    assert guard("run", "--", "true", env={"GUARD_MODE": "audit"}).returncode == 0
    run = guard("run", "--enforce", "--", "sh", "-c", "echo $GUARD_MODE", env={"GUARD_MODE": "audit"})
    assert run.stdout == "enforce\n"


def test_logs(tmp_path):
    refused(guard("run", "--log", tmp_path / "none" / "log", "--", "true"), "No such file")
    refused(guard("run", "--log", tmp_path / "none" / "%p.log", "--", "true"), "No such file")
    refused(guard("run", "--log", tmp_path, "--", "true"), "directory")
    refused(guard("run", "--log", f"unix:{tmp_path}/socket", "--", "true"), "unix:")
    refused(guard("run", "--log", "unix:" + "x" * 200, "--", "true"), "socket")
    refused(guard("run", "--", "true", env={"GUARD_LOG": tmp_path / "none" / "log"}), "No such file")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert guard("run", "--log", f"unix:{tmp_path}/socket", "--", "true").returncode == 0
    for log in "stderr", "stdout", tmp_path / "log", tmp_path / "%p.log":
        assert guard("run", "--log", log, "--", "true").returncode == 0


def test_it_denies(tmp_path):
    """The whole way: a pickle with a payload, under the command."""
    marker = tmp_path / "marker"
    (tmp_path / "make.py").write_text(textwrap.dedent(f"""
        import os, pickle
        class Payload:
            def __reduce__(self):
                return os.system, ("touch {marker}",)
        pickle.dump(Payload(), open("evil.pkl", "wb"))
    """))
    subprocess.run([sys.executable, "make.py"], cwd=tmp_path, check=True)
    load = [sys.executable, "-c", "import pickle; pickle.load(open('evil.pkl', 'rb'))"]
    run = guard("run", "--log", "log", "--", *load, cwd=tmp_path)
    assert run.returncode == 1 and "PermissionError" in run.stderr
    assert "guard: denied" in run.stderr and not marker.exists()
    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert any(record["decision"] == "deny" and record["mode"] == "enforce" for record in records)
    run = guard("run", "--quiet", "--", *load, cwd=tmp_path)
    assert "guard: denied" not in run.stderr.replace("PermissionError: guard: denied", "") and not marker.exists()
    run = guard("run", "--audit", "--", *load, cwd=tmp_path)
    assert run.returncode == 0 and "would deny" in run.stderr and marker.exists()


def test_help():
    run = guard("run", "--help")
    assert run.returncode == 0 and run.stdout.startswith("Usage: guard run")
    for words in ["--help"], ["-h"]:
        assert guard(*words).returncode == 0
    assert guard("--version").stdout.startswith("guard ")
    assert guard().returncode == 2
    assert guard("nonsense").returncode == 2
    assert BUILD.exists()

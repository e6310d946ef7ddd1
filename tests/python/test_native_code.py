"""Native code out of files: what a model brings is not loaded, whoever asks; everybody else's libraries are found and
loaded as without the guard, $ORIGIN and RUNPATH included."""
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sysconfig
import tempfile
import textwrap
from pathlib import Path

import pytest

from conftest import AttackCases, BenignCases, function_name

SOURCES = Path(__file__).parent / "native"
COMMIT = "0123456789012345678901234567890123456789"


@pytest.fixture(scope="session")
def libraries(tmp_path_factory):
    """libpart.so, libwhole.so (needs it, RUNPATH $ORIGIN) and the extension module whole.so."""
    folder = tmp_path_factory.mktemp("libraries")

    def build(name, source, *options):
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / name, SOURCES / source, *options], check=True)

    linked = ["-L", folder, "-lpart", "-Wl,-rpath,$ORIGIN,--enable-new-dtags"]
    build("libpart.so", "part.c")
    build("libwhole.so", "whole.c", *linked)
    build("whole.so", "whole.c", *linked, "-DEXTENSION", "-I", sysconfig.get_path("include"))
    return folder


def put(libraries, folder, *more):
    """A copy of the libraries, beside whatever else makes the folder what it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for library in libraries.iterdir():
        shutil.copy(library, folder)
    for name in more:
        (folder / name).touch()
    return folder


# MODEL: a folder of its own for each, because a library's constructor runs once.
ATTACKS = {
    "ctypes, beside weights": "ctypes.CDLL('MODEL/libwhole.so')",
    "ctypes, hub cache": f"ctypes.CDLL('hub/models--org--name/snapshots/{COMMIT}/libwhole.so')",
    "ctypes, kernel of the hub": f"ctypes.CDLL('hub/kernels--org--name/snapshots/{COMMIT}/build/libwhole.so')",
    "ctypes, link to it": "ctypes.CDLL('app/link-to-MODEL.so')",
    "ctypes, way round": "ctypes.CDLL('app/../MODEL/libwhole.so')",
    "import from a model's folder": "sys.path.append('MODEL'); import whole",
    "torch.ops.load_library": "import torch; torch.ops.load_library('MODEL/libwhole.so')",
    "RTLD_DEEPBIND": "ctypes.CDLL('MODEL/libwhole.so', mode=os.RTLD_NOW | os.RTLD_DEEPBIND)",
    "thread": """
        outcome = []
        def case_thread():
            try: ctypes.CDLL('MODEL/libwhole.so')
            except OSError as error: outcome.append(error)
        thread = threading.Thread(target=case_thread)
        thread.start(); thread.join()
        if outcome: raise outcome[0]""",
    "mapped to be executed": """
        with open('MODEL/libwhole.so', 'rb') as file:
            mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
        touch()""",
}
PRELUDE = """
    import ctypes, inspect, mmap, os, sys, threading
    os.makedirs("markers", exist_ok=True)
    def touch(): open(os.environ["MARKER"], "w").close()
"""


def bodies(cases):
    """The bodies of functions, each with its marker and its model's folder."""
    return {name: f"os.environ['MARKER'] = 'markers/{function_name(name)}'\n"
                  + textwrap.dedent(body).replace("MODEL", f"model{number}") for number,
            (name, body) in enumerate(cases.items())}


@pytest.fixture(scope="module")
def attacks(make_scene, libraries):
    scene = make_scene("native")
    for number in range(len(ATTACKS)):
        put(libraries, scene.path(f"model{number}"), "model.safetensors")
        scene.path("app").mkdir(exist_ok=True)
        scene.path(f"app/link-to-model{number}.so").symlink_to(f"../model{number}/libwhole.so")
    shutil.copy(libraries / "libpart.so",
                scene.path("app"))  # $ORIGIN of a library reached by a link is the link's folder
    put(libraries, scene.path(f"hub/models--org--name/snapshots/{COMMIT}"))
    put(libraries, scene.path(f"hub/kernels--org--name/snapshots/{COMMIT}/build"))
    script = scene.cases("app/infer.py", PRELUDE, bodies(ATTACKS))
    return AttackCases(scene, script, ATTACKS)


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(attacks, name):
    attacks.check(name, native=name != "mapped to be executed")


def test_attacks_as_a_whole(attacks):
    attacks.check_whole()
    for outcome in (outcome for name, outcome in attacks.enforce.outcomes.items() if name != "mapped to be executed"):
        assert "guard: denied " in outcome and "native-of-model" in outcome, outcome
    assert "ImportError" in attacks.enforce.outcomes["import from a model's folder"]
    models = {record["model"]["id"] for record in attacks.enforce.denials}
    assert {"hf:org/name", "hf:kernels/org/name"} < models
    assert all(record["event"] == record["effect"] == "native" for record in attacks.enforce.denials)


def test_a_rule_allows_it(scene, libraries):
    put(libraries, scene.path("model"), "model.safetensors")
    script = scene.write("app/infer.py", "import ctypes; print(ctypes.CDLL('model/libwhole.so').whole())")
    denied = scene.run_python(script, mode="enforce")
    assert denied.returncode == 1 and "OSError: guard: denied " in denied.stderr, str(denied)
    policy = scene.allow_as_told(denied, scene.path("policy.json"))
    allowed = scene.run_python(script, mode="enforce", policy=policy)
    assert (allowed.stdout, allowed.stderr) == ("42\n", ""), str(allowed)
    with open(scene.path("model/libwhole.so"), "ab") as library:
        library.write(b"another")
    assert "guard: denied " in scene.run_python(script, mode="enforce", policy=policy).stderr


def test_a_rule_names_the_content(scene, libraries):
    """Of libraries and of programs, learnt or written by hand, also in the child of a vfork."""
    put(libraries, scene.path("model"), "model.safetensors")
    shutil.copy("/bin/true", scene.path("model/tool"))
    script = scene.write("app/infer.py", """
        import ctypes, os, subprocess
        def attempt(name, run):
            try: print(name, "runs" if run() in (None, 0, 42) else "denied")
            except (OSError, PermissionError): print(name, "denied")
        attempt("library", lambda: ctypes.CDLL("model/libwhole.so").whole())
        attempt("subprocess", lambda: subprocess.run(["model/tool"], check=True).returncode)
        attempt("spawn", lambda: os.waitpid(os.posix_spawn("model/tool", ["tool"], {}), 0)[1])
        attempt("system", lambda: os.system("model/tool"))
        """)

    def said(policy):
        run = scene.run_python(script, mode="enforce", policy=policy)
        return run, {line.split()[0]: line.split()[1] for line in run.stdout.splitlines()}

    denied, words = said(None)
    assert set(words.values()) == {"denied"} and len(words) == 4, str(denied)
    hashes = {hashlib.sha256(scene.path(name).read_bytes()).hexdigest() for name in ("model/tool", "model/libwhole.so")}
    assert {record["sha256"] for record in denied.denials} == hashes, str(denied)
    log = scene.write("denied.jsonl", "\n".join(map(json.dumps, denied.records)) + "\n")
    policy = scene.path("policy.json")
    learnt = scene.guard("learn", log, "-o", policy)
    assert learnt.returncode == 0 and policy.read_text().count('"sha256"') == 2, f"{learnt}\n{policy.read_text()}"
    run, words = said(policy)
    assert set(words.values()) == {"runs"} and not run.denials and not run.stderr, str(run)
    for name in "model/tool", "model/libwhole.so":
        with open(scene.path(name), "ab") as file:
            file.write(b"another")
    run, words = said(policy)
    assert set(words.values()) == {"denied"}, str(run)
    os.truncate(scene.path("model/tool"), 2 << 30)  # a program of many gigabytes is not hashed for the record alone
    run, words = said(None)
    assert {record["sha256"] is None for record in run.denials if record["event"] == "exec"} == {True}, str(run)


BENIGN = {
    "dependency by RUNPATH": "assert ctypes.CDLL('app/lib/libwhole.so').whole() == 42",
    "dlopen by name, RUNPATH of the caller": "assert ctypes.CDLL('app/lib/libwhole.so').by_name() == 1",
    "dlopen of $ORIGIN": "assert ctypes.CDLL('app/lib/libwhole.so').by_origin() == 1",
    "beside the application's own weights": "assert ctypes.CDLL('app/libwhole.so').whole() == 42",
    "extension module beside weights": "import whole",
    "by name": "ctypes.CDLL('libm.so.6'); ctypes.CDLL(None)",
    "not there": """
        try: ctypes.CDLL('app/lib/libnone.so')
        except OSError as error: assert 'No such file' in str(error), error""",
    "no library": """
        try: ctypes.CDLL('app/infer.py')
        except OSError as error: assert 'invalid ELF header' in str(error), error""",
    "deepbind": "ctypes.CDLL('app/lib/libpart.so', mode=os.RTLD_NOW | os.RTLD_DEEPBIND)",
    "another namespace": """
        load = ctypes.CDLL(None).dlmopen
        load.restype = ctypes.c_void_p
        assert load(ctypes.c_long(-1), b'app/lib/libpart.so', 2)""",
    "torch.ops.load_library": "import torch; torch.ops.load_library('app/lib/libwhole.so')",
    "torch's own, late": """
        import torch
        torch.linalg.inv(torch.eye(3)); torch.fft.fft(torch.ones(4))
        torch.nn.functional.conv2d(*[torch.ones(1, 1, 2, 2)] * 2)""",
    "numpy and scipy": "import numpy.linalg, scipy.sparse.linalg, scipy.optimize; numpy.linalg.inv(numpy.eye(3))",
    "a cache of triton's": "ctypes.CDLL(os.path.expanduser('~/.triton/cache/0/libpart.so'))",
    "a cache of inductor's": "ctypes.CDLL(os.environ['TORCHINDUCTOR_CACHE_DIR'] + '/0/libpart.so')",
    "code mapped by the application": """
        with open('app/lib/libpart.so', 'rb') as file:
            mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC).close()""",
}


@pytest.fixture(scope="module")
def benign(make_scene, libraries, tmp_path_factory):
    scene = make_scene("native-benign")
    put(libraries, scene.path("app"), "model.safetensors")
    put(libraries, scene.path("app/lib"))
    put(libraries, scene.home / ".triton/cache/0")
    cache = Path(tempfile.mkdtemp(prefix="guard-test-", dir="/tmp"))
    put(libraries, cache / "0")
    script = scene.cases("app/infer.py", PRELUDE, bodies(BENIGN))
    yield BenignCases(scene, script, env={"TORCHINDUCTOR_CACHE_DIR": str(cache)})
    shutil.rmtree(cache)


@pytest.mark.parametrize("name", BENIGN)
def test_benign(benign, name):
    benign.check(name)


def test_benign_as_a_whole(benign):
    benign.check_whole()
    assert not [record for record in benign.enforce.warnings if record["effect"] == "native"], str(benign.enforce)


def test_temporary_folder_is_for_no_unpickler(scene, libraries):
    """The application's own function, from a pickle, by way of C: no audit event tells of it."""
    folder = Path(tempfile.mkdtemp(prefix="guard-test-", dir="/tmp"))
    try:
        put(libraries, folder)
        script = scene.write("app/infer.py", f"""
            import ctypes, os, pickle
            dlopen = ctypes.PyDLL(None).dlopen
            class Load:
                def __reduce__(self): return load, ()
            def load(): return dlopen(b"{folder}/libwhole.so", 2)
            pickle.loads(pickle.dumps(Load()))
            """)
        scene.attack(script, exception="guard: denied", env={"MARKER": "markers/marker"})
    finally:
        shutil.rmtree(folder)


def test_temporary_folder_is_told_and_not_denied(scene, libraries):
    folder = Path(tempfile.mkdtemp(prefix="guard-test-", dir="/tmp"))
    try:
        put(libraries, folder)
        script = scene.write("app/infer.py", f"import ctypes; print(ctypes.CDLL('{folder}/libwhole.so').whole())")
        without, enforce = scene.benign(script)
        assert [record["rule"] for record in enforce.warnings] == ["native-temporary"], str(enforce)
    finally:
        shutil.rmtree(folder)


CALLER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
void look(void);
static void say(const char *name, void *library)
{
    const char *error = library ? NULL : dlerror();
    printf("%s: %s\\n", name, library ? "found" : error ? error : "no error");
}
void look(void)
{
    say("dlopen", dlopen("libpart.so", RTLD_NOW));
    say("dlmopen", dlmopen(LM_ID_BASE, "libpart.so", RTLD_NOW));
}
"""
CHECK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
struct dlopen_call { const char *path; long flags; };
struct dlopen_call guard_check_dlopen(const char *path, int flags, const void *caller);
void *guard_real_dlopen, *guard_real_dlmopen;
struct dlopen_call guard_check_dlopen(const char *path, int flags, const void *caller)
{
    (void)caller;
    guard_real_dlopen = dlsym(RTLD_NEXT, "dlopen");
    guard_real_dlmopen = dlsym(RTLD_NEXT, "dlmopen");
    return getenv("DENY") ? (struct dlopen_call){"guard: denied it", 0} : (struct dlopen_call){path, flags};
}
"""


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_stub(tmp_path, machine):
    """The stub of each machine with a check of its own; the other machine's by a cross compiler and qemu."""
    native = machine == platform.machine()
    compiler, emulator = ("gcc", []) if native else (f"{machine}-linux-gnu-gcc",
                                                     [f"qemu-{machine}", "-L", f"/usr/{machine}-linux-gnu"])
    for tool in [compiler, *emulator[:1]]:
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} on this machine")

    def build(name, source, *options):
        subprocess.run([compiler, "-o", name, source, *options], cwd=tmp_path, check=True)

    for name, text in ("caller.c", CALLER), ("check.c", CHECK), ("main.c",
                                                                 "void look(void); int main(void) { look(); }"):
        (tmp_path / name).write_text(text)
    (tmp_path / "lib").mkdir()
    build("lib/libpart.so", SOURCES / "part.c", "-shared", "-fPIC")
    build("lib/libcaller.so", "caller.c", "-shared", "-fPIC", "-Wl,-rpath,$ORIGIN,--enable-new-dtags")
    build("main", "main.c", "-Llib", "-lcaller", "-Wl,-rpath,$ORIGIN/lib,--enable-new-dtags")
    build("libstub.so", "check.c", SOURCES.parents[2] / "preload" / "hook_dlopen.S", "-shared", "-fPIC",
          "-fvisibility=hidden")
    preload = {"LD_PRELOAD": str(tmp_path / "libstub.so")} if native else {
        "QEMU_SET_ENV": f"LD_PRELOAD={tmp_path}/libstub.so"}
    refused = "guard: denied it: invalid mode for dlopen(): Invalid argument"
    for denied, said in ({}, "found"), ({"DENY": "1"}, refused):
        run = subprocess.run([*emulator, tmp_path / "main"], env={**preload, **denied}, capture_output=True, text=True,
                             timeout=60)
        assert run.stdout == f"dlopen: {said}\ndlmopen: {said}\n", run.stderr


# Everything in one library whose pages demand a landing pad at every indirect branch.
LANDS = r"""
#include <dlfcn.h>
struct dlopen_call { const char *path; long flags; };
struct dlopen_call guard_check_dlopen(const char *path, int flags, const void *caller);
long guard_syscall(long number), guard_syscall_plain(long number), syscall(long number, ...);
void *(*guard_real_dlopen)(const char *, int), *(*guard_real_dlmopen)(Lmid_t, const char *, int);
long (*guard_real_syscall)(long number);
struct dlopen_call guard_check_dlopen(const char *path, int flags, const void *caller)
{
    return (struct dlopen_call){path + (caller != 0), flags + 1};
}
long guard_syscall(long number) { return number + 1000; }
long guard_syscall_plain(long number) { return number + 2000; }
static void *opened(const char *path, int flags) { return (void *)(path + 10 * flags); }
static void *opened_there(Lmid_t space, const char *path, int flags) { return (void *)(path + 10 * flags + 100 * space); }
static long asked(long number) { return number + 3000; }
__attribute__((visibility("default"))) void look(long found[6]);
void look(long found[6])
{
    void *(*volatile first)(const char *, int) = dlopen;
    void *(*volatile second)(Lmid_t, const char *, int) = dlmopen;
    long (*volatile third)(long, ...) = syscall;
    guard_real_dlopen = opened;
    guard_real_dlmopen = opened_there;
    found[0] = (long)first((const char *)1, 1);
    found[1] = (long)second(3, (const char *)1, 1);
    found[2] = third(7);
    guard_real_syscall = asked;
    found[3] = third(7);
    found[4] = third(SYS_openat);
    found[5] = third(SYS_openat2);
}
"""


def test_stubs_have_landing_pads(tmp_path):
    """On aarch64 with branch targets enforced, which a stub without its pad does not survive, nor one that jumps on by
    a register for other jumps."""
    compiler, emulator = "aarch64-linux-gnu-gcc", "qemu-aarch64"
    for tool in compiler, emulator:
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} on this machine")
    (tmp_path / "lands.c").write_text("#define _GNU_SOURCE\n#include <sys/syscall.h>\n" + LANDS)
    (tmp_path / "main.c").write_text("""
        #include <stdio.h>
        void look(long found[6]);
        int main(void)
        {
            long found[6];
            look(found);
            for (int i = 0; i < 6; i++)
                printf("%ld ", found[i]);
        }
        """)
    stubs = [SOURCES.parents[2] / "preload" / name for name in ("hook_dlopen.S", "hook_syscall.S")]

    def run(*options):
        for built in (["liblands.so", "lands.c", *stubs, "-shared", "-fPIC", "-fvisibility=hidden", "-nostartfiles",
                       *options],
                      ["main", "main.c", "-L.", "-llands", "-Wl,-rpath,$ORIGIN"]):
            subprocess.run([compiler, "-o", *built], cwd=tmp_path, check=True, capture_output=True)
        return subprocess.run([emulator, "-L", "/usr/aarch64-linux-gnu", "main"], cwd=tmp_path, capture_output=True,
                              text=True,
                              timeout=60)

    said = "22 322 2007 3007 1056 1437 "
    enforced = run("-mbranch-protection=bti", "-Wl,-z,force-bti")
    assert (enforced.returncode, enforced.stdout) == (0, said), enforced.stderr
    padless = run("-Wl,-z,force-bti")  # the C functions have none: that it is enforced here
    assert padless.returncode == -4 or "Illegal instruction" in padless.stderr, padless

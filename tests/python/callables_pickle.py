"""Pickles that call by name, and what the built-in policy decides of each at rest."""
import subprocess
from dataclasses import dataclass

from conftest import BUILD

DUMP = BUILD / "effects_dump"


def text(value):
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + len(raw).to_bytes(4, "little") + raw


def name(module, qualified):
    return text(module) + text(qualified) + b"\x93"


def called(callee, *arguments):
    """callee(*arguments), of opcodes each; leaves the stack as it was."""
    return callee + b"(" + b"".join(arguments) + b"tR0"


def canonical(module, qualified):
    return f"{module}:{qualified}" if "." in qualified else f"{module}.{qualified}"


def splits(dotted):
    """The ways to cut "a.b.c" into a module and a name."""
    parts = dotted.split(".")
    return [(".".join(parts[:at]), ".".join(parts[at:])) for at in range(1, len(parts))] or [("builtins", dotted)]


@dataclass(frozen=True)
class Judged:
    kind: str
    name: str
    via: str
    decision: str
    rule: str


def judge(path, *bodies):
    """What is told of a pickle of these opcodes, each effect with its decision."""
    path.write_bytes(b"\x80\x04" + b"".join(bodies) + b"N.")
    out = subprocess.run([DUMP, "-j", path], stdout=subprocess.PIPE,
                         check=True).stdout.decode("utf-8", "surrogateescape")
    *effects, end = out.splitlines()
    assert end.startswith("done\t"), end
    fields = [line.split("\t") for line in effects]
    return [Judged(f[0], f[1], "" if f[4] == "-" else f[4], f[9], f[10]) for f in fields]


def deepest(told):
    """The strictest of the decisions."""
    return max((effect.decision for effect in told), key=["allow", "warn", "deny"].index, default="allow")

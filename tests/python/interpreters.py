"""The CPythons of this machine on which the live ring is proved."""
import os
from pathlib import Path

OLDEST = (3, 8)  # the first with audit hooks


def every_interpreter():
    """name -> path: those under pyenv, and the distribution's own, whose unpickler lies inside the executable."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = {}
    for python in root.glob("versions/[0-9]*/bin/python3"):
        version = tuple(int(part) for part in python.parts[-3].split(".") if part.isdigit())
        if version[:2] >= OLDEST:
            found[version] = str(python)
    named = {".".join(map(str, version)): path for version, path in sorted(found.items())}
    if Path("/usr/bin/python3").exists():
        named["distribution"] = "/usr/bin/python3"
    return named

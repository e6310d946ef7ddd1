"""Loads in a child that is given no environment at all, so that no LD_PRELOAD is left."""
import subprocess
import sys

sys.exit(subprocess.run([sys.executable, "tests/demo/load.py", sys.argv[1]], env={}).returncode)

"""Fleets: mass scans on Spark and Ray, and the guard inside the workers that other frameworks start."""
import json
import pickle

import pytest

from conftest import COMMAND
from guard_command import guard
from make_models import payload_bytes


@pytest.fixture
def folder(scene):
    """Some hundred files: models, poisoned ones, configs, texts, and names that are awkward on a line."""
    root = scene.path("store")
    for number in range(120):
        place = root / f"model-{number % 10}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.pkl").write_bytes(payload_bytes(scene.marker()) if number % 7 == 0 else
                                              pickle.dumps({"weights": [number] * 50}))
        (place / f"{number} n\u00f6tes.txt").write_text("import os\n" * number)
        (place / "config.json").write_text('{"auto_map": {"AutoModel": "modeling.X"}}')
    return root


def verdicts(text):
    return sorted(json.dumps(json.loads(line), sort_keys=True) for line in text.splitlines()
                  if line.startswith('{"path"'))


def check_mass_scan(scene, folder, script):
    alone = guard("scan", "--format", "json", "--jobs", "1", folder)
    assert alone.returncode == 1 and len(verdicts(alone.stdout)) == 250
    run = scene.run_python(script, str(folder))
    assert run.returncode == 0, str(run)
    assert verdicts(run.stdout) == verdicts(alone.stdout), str(run)


def test_scan_as_spark_pipe(scene, folder):
    """README: one worker a partition, each reading paths and writing lines."""
    check_mass_scan(scene, folder, scene.write("mass.py", f"""
        import os, sys
        os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
        from pyspark.sql import SparkSession

        spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
                 .config("spark.driver.bindAddress", "127.0.0.1").config("spark.ui.showConsoleProgress", "false")
                 .getOrCreate())
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(sys.argv[1]) for name in names]
        lines = spark.sparkContext.parallelize(paths, 4).pipe("{COMMAND} scan --format json --jobs 1 --files-from -")
        print("\\n".join(lines.collect()))
        spark.stop()
    """))


def test_scan_as_ray_tasks(scene, folder):
    check_mass_scan(scene, folder, scene.write("mass.py", f"""
        import os, subprocess, sys
        import ray

        @ray.remote
        def scan(paths):
            return subprocess.run(["{COMMAND}", "scan", "--format", "json", "--jobs", "1", "--files-from", "-"],
                                  input="\\n".join(paths), capture_output=True, text=True).stdout

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
                 _node_ip_address="127.0.0.1")
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(sys.argv[1]) for name in names]
        print("".join(ray.get([scan.remote(paths[start::4]) for start in range(4)])))
        ray.shutdown()
    """))


WORKERS = {
    "ray": """
        import os, sys
        import ray

        @ray.remote
        def work(path):
            return load(path)

        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
                 _node_ip_address="127.0.0.1")
        print(ray.get(work.remote(os.path.abspath("model.pkl"))), flush=True)
        ray.shutdown()
    """,
    "torchrun": """
        import subprocess, sys
        if len(sys.argv) > 1:
            print(load("model.pkl"), flush=True)
        else:
            sys.stdout.write(subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone",
                                             "--local-addr",
                                             "127.0.0.1", "--nproc-per-node", "1", __file__, "worker"],
                                            stdout=subprocess.PIPE, text=True).stdout)
    """,
    "gunicorn": """
        import socket, subprocess, sys, time, urllib.request

        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [load("model.pkl").encode()]

        if __name__ == "__main__":
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            server = subprocess.Popen([sys.executable, "-m", "gunicorn", "program:application", "-w", "1", "-b",
                                       f"127.0.0.1:{port}", "--log-level", "error"])
            for _ in range(400):
                try:
                    print(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20).read().decode())
                    break
                except OSError:
                    time.sleep(0.1)
            server.terminate()
            server.wait(60)
    """,
}

LOAD = """
        import pickle

        def load(path):
            try:
                with open(path, "rb") as file:
                    return "loaded " + str(sorted(pickle.load(file)))
            except PermissionError as error:
                return "PermissionError " + str(error)
"""


@pytest.mark.parametrize("framework", WORKERS)
def test_poison_in_a_worker(scene, framework):
    """Denied there, and the record of that process says who asked."""
    scene.path("model.pkl").write_bytes(payload_bytes(scene.marker()))
    scene.write("program.py", LOAD + WORKERS[framework])
    without, enforce, audit = scene.three_runs(scene.path("program.py"))
    assert without.markers == ["marker"] and "loaded" in without.stdout, str(without)
    if scene.no_guard:
        pytest.skip("--no-guard")
    assert enforce.markers == [] and "PermissionError" in enforce.stdout, str(enforce)
    [denial, *_] = enforce.asked_by("program.py", "load")
    starts = [record["pid"] for record in enforce.records if record["event"] == "start"]
    assert denial["pid"] != starts[0], f"it was no worker that loaded\n{enforce}"
    assert audit.markers == ["marker"] and audit.stdout == without.stdout, str(audit)

"""guard report: records in; a tree, a page, dot and json out."""
import json
import os
import re
import shutil
import subprocess
import time

import pytest
from conftest import COMMAND, RECORD_KEYS
from selenium.webdriver.support.wait import WebDriverWait

HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror=alert(1)>"\\\x1b[2J\u202e\u2028'
APP = [{"file": "/srv/app/infer.py", "line": 12, "function": "main"},
       {"file": "/srv/app/infer.py", "line": 30, "function": "<module>"}]


def frame(package, line=7, function="load"):
    return {"file": f"/usr/lib/python3/dist-packages/{package}", "line": line, "function": function}


class Log:
    """Writes records as the library does."""

    def __init__(self):
        self.lines = []
        self.time = 1_790_000_000.0

    def add(self, event, pid=100, after=0.01, python=(), native=(), **values):
        self.time += after
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.time)) + f".{int(self.time % 1 * 1e6):06d}Z"
        record = dict.fromkeys(RECORD_KEYS)
        record.update({"v": 1, "time": stamp, "pid": pid, "tid": pid, "seq": len(self.lines), "event": event,
                       "mode": "enforce",
                       "decision": "allow", "origin": "library", "by": {"python": list(python), "native": list(native)},
                       **values})
        self.lines.append(json.dumps(record))
        return self

    def start(self, pid=100, program="/usr/bin/python3", **values):
        return self.add("start", pid, path=program, **values)

    def load(self, model, inside, pid=100, size=1000, revision="a" * 40, **values):
        path = f"/cache/models--{model.replace('/', '--')}/snapshots/{revision}/{inside}"
        values = {"edge": "observed", "python": [frame("transformers/hub.py"), *APP], "format": "json", **values}
        return self.add("load", pid, path=path, size=size, **values,
                        model={"id": f"hf:{model}", "revision": revision, "inside": inside})

    def declare(self, model, inside, target, field, pinned=False, pid=100, **values):
        return self.add("depend", pid, name=target, field=field, pinned=pinned, edge="declared", **values,
                        path=f"/cache/models--{model.replace('/', '--')}/snapshots/{'a' * 40}/{inside}",
                        model={"id": f"hf:{model}", "revision": "a" * 40, "inside": inside})

    def write(self, path):
        path.write_text("".join(line + "\n" for line in self.lines))
        return path


def story():
    """A service: an adapter with its base, a pipeline, a library that brings a model, a denied file, late loads."""
    log = Log()
    by_app = {"named": {"by": "app", "file": "/srv/app/infer.py", "line": 12}}
    for pid in 100, 101:
        log.start(pid, after=0.2)
        log.declare("acme/support-adapter", "adapter_config.json", "acme/llama-base", "base_model_name_or_path",
                    pid=pid, after=1.7)
        log.load("acme/support-adapter", "adapter_config.json", pid, revision="a" * 40, after=0.01, **by_app)
        given = {"parent": "hf:acme/support-adapter", "from": "adapter_config.json", "edge": "declared"}
        log.load("acme/llama-base", "config.json", pid, after=0.02, **given)
        for shard in range(1, 5):
            log.load("acme/llama-base", f"model-{shard:05}-of-00004.safetensors", pid, size=4_900_000_000,
                     format="safetensors", after=0.4,
                     **given)
        log.load("acme/llama-base", "tokenizer.json", pid, size=9_000_000, **given)
        log.load("acme/support-adapter", "adapter_model.safetensors", pid, size=80_000_000, format="safetensors")
    log.declare("acme/llama-base", "config.json", "acme/llama-code", "auto_map.AutoModel", pinned=True,
                revision="c" * 40)
    log.load("acme/llama-code", "modeling_llama.py", format=None, parent="hf:acme/llama-base", edge="declared",
             **{"from": "config.json"})
    log.load("someone/hidden-encoder", "config.json", parent="hf:acme/llama-code", **{"from": "modeling_llama.py"})
    log.load("studio/diffusion-xl", "model_index.json", after=0.3, **by_app)
    for part in "unet", "vae", "text_encoder":
        log.load("studio/diffusion-xl", f"{part}/diffusion_pytorch_model.safetensors", size=2_500_000_000,
                 format="safetensors", after=0.2)
    log.load("openai/clip-default", "pytorch_model.bin", size=600_000_000, format="torch-zip", after=0.2,
             python=[frame("torch/serialization.py"), frame("imagekit/embed.py", 44), *APP],
             named={"by": "library", "file": "/usr/lib/python3/dist-packages/imagekit/embed.py", "line": 9})
    log.declare("studio/diffusion-xl", "model_index.json", "studio/safety-checker", "safety_checker")
    log.load("evil/reranker", "pytorch_model.bin", size=41_000_000, decision="deny", rule="exec-call",
             severity="critical", effect="call",
             name="posix.system", args='"id"', why='calls posix.system("id")', format="torch-zip", after=0.4,
             revision="b" * 40,
             native=[{"object": "/lib/libc.so.6", "symbol": "open64"}], **{**by_app, "edge": "observed"})
    log.lines[-1] = log.lines[-1].replace('"revision": null', '"revision": "refs/pr/7"')
    for minute in range(3):
        log.load("acme/late-tool", f"part-{minute}.onnx", 101, size=30_000_000, format="onnx", after=25, **by_app)
    return log


def report(*arguments, stdin=None, status=0):
    done = subprocess.run([COMMAND, "report", *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          errors="surrogateescape")
    assert done.returncode == status, done.stderr
    return done


def as_json(*logs):
    return json.loads(report("--format", "json", *logs).stdout)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return folder, story().write(folder / "story.jsonl")


def findings(graph):
    return {(finding["kind"], finding["model"]) for finding in graph["findings"]}


def test_graph(logs):
    graph = as_json(logs[1])
    edges = {(edge["parent"], edge["child"], edge["kind"]): edge for edge in graph["edges"]}
    base = edges["hf:acme/support-adapter", "hf:acme/llama-base", "declared"]
    assert base["field"] == "base_model_name_or_path" and not base["pinned"] and base["loaded"]
    assert edges["hf:acme/llama-base", "hf:acme/llama-code", "declared"]["pinned"]
    assert ("hf:acme/llama-code", "hf:someone/hidden-encoder", "observed") in edges
    assert not edges["hf:studio/diffusion-xl", "hf:studio/safety-checker", "declared"]["loaded"]
    models = {model["id"]: model for model in graph["models"]}
    asked = models["hf:openai/clip-default"]["asked"]
    assert asked["by"] == "library" and asked["name"] == "imagekit"
    assert models["hf:acme/support-adapter"]["asked"]["name"] == "infer.py"
    assert models["hf:evil/reranker"]["decision"] == "deny"
    assert findings(graph) == {
        ("denied", "hf:evil/reranker"), ("hard-coded", "hf:openai/clip-default"),
        ("third-party-revision", "hf:evil/reranker"),
        ("unpinned", "hf:acme/llama-base"), ("hidden-load", "hf:someone/hidden-encoder"),
        ("unpinned", "hf:studio/safety-checker"),
        ("not-loaded", "hf:studio/safety-checker"), ("late-load", None)}
    shards = [file for file in graph["files"] if "model-0000" in file["inside"]]
    assert len(shards) == 4 and all(file["loads"] == 2 for file in shards)
    assert [process["late"] for process in graph["processes"]] == [0, 3]


def test_quiet_run(tmp_path):
    """What the application asks for by name, and what a config pins, is nothing to look at."""
    log = Log().start()
    log.load("acme/a", "config.json", named={"by": "arguments"})
    log.declare("acme/a", "config.json", "acme/b", "base", pinned=True, revision="b" * 40)
    log.load("acme/b", "config.json", parent="hf:acme/a", edge="declared")
    log.load("acme/from-yaml", "config.json")  # nobody wrote its name down, but transformers loads what it is told to
    assert as_json(log.write(tmp_path / "log"))["findings"] == []


@pytest.mark.parametrize("values, kind", [
    ({"python": [frame("transformers/hub.py"), frame("chatkit/bot.py"), *APP]}, "hidden-load"),
    ({"python": [frame("transformers/hub.py"), frame("chatkit/bot.py"), *APP],
      "named": {"by": "app", "file": "infer.py", "line": 1}}, None),
    ({"python": [frame("transformers/hub.py"),
                 {"file": "/usr/lib/python3.11/threading.py", "line": 1, "function": "_bootstrap"}]},
     "hidden-load"),
    ({"python": [frame("transformers/hub.py"), {"file": "<string>", "line": 1, "function": "<module>"}]}, None),
    ({"python": []}, None),
])
def test_who_asked(tmp_path, values, kind):
    log = Log().start().load("acme/a", "config.json", **values)
    assert findings(as_json(log.write(tmp_path / "log"))) == ({(kind, "hf:acme/a")} if kind else set())


def test_same_content_under_two_names(tmp_path):
    log = Log().start()
    for name in "model.bin", "pytorch_model.bin":
        log.load("acme/a", name, real="/cache/models--acme--a/blobs/1234")
    log.load("acme/copy", "model.bin", real="/cache/models--acme--a/blobs/1234")
    files = as_json(log.write(tmp_path / "log"))["files"]
    assert [(file["model"], file["inside"], file["names"]) for file in files] == [
        ("hf:acme/a", "model.bin", ["pytorch_model.bin"]), ("hf:acme/copy", "model.bin", [])]
    assert files[1]["same_model"] == "hf:acme/a" and files[1]["same_inside"] == "model.bin"


def test_text(logs):
    lines = report(logs[1]).stdout.splitlines()
    assert lines[0].startswith("infer.py ")
    assert any("│   └── hf:acme/llama-base" in line
               and "[declared by adapter_config.json: base_model_name_or_path, not pinned]" in line
               for line in lines)
    assert "└── hf:openai/clip-default" in "\n".join(lines[lines.index(next(line for line in lines
                                                                            if line.startswith("library imagekit"))):])
    assert lines[-1] == "9 models, 19 files, 2 processes, 33 records: 1 denied, 0 warned of"
    assert not any("\x1b" in line for line in lines)


def test_audit_says_would(tmp_path):
    log = Log().start().load("acme/a", "model.bin", mode="audit", decision="deny", rule="exec-call",
                             why="calls posix.system()")
    log.add("code", mode="audit", decision="deny", rule="model-code",
            model={"id": "hf:acme/b", "revision": None, "inside": "b.py"},
            path="/cache/models--acme--b/snapshots/r/b.py")
    lines = report(log.write(tmp_path / "log")).stdout
    assert "1 kB  WOULD BE DENIED" in lines.replace("1.0 kB", "1 kB") and "2 would be denied" in lines
    graph = as_json(tmp_path / "log")
    assert not graph["enforced"] and {model["decision"] for model in graph["models"]} == {"deny"}


def test_circle(tmp_path):
    log = Log().start()
    for one, other in ("a", "b"), ("b", "a"):
        log.load(f"acme/{one}", "config.json", parent=f"hf:acme/{other}", edge="declared")
    assert "(*)" in report(log.write(tmp_path / "log")).stdout


def test_many_logs_and_stdin(logs, tmp_path):
    folder, whole = logs
    lines = whole.read_text().splitlines(keepends=True)
    for half in 0, 1:
        (tmp_path / f"{half}.jsonl").write_text("".join(lines[half::2]))
    parts = as_json(tmp_path / "0.jsonl", tmp_path / "1.jsonl")
    alone = as_json(whole)
    assert {model["id"] for model in parts["models"]} == {model["id"] for model in alone["models"]}
    assert {(e["parent"], e["child"], e["kind"])
            for e in parts["edges"]} == {(e["parent"], e["child"], e["kind"]) for e in alone["edges"]}
    piped = report("--format", "json", "-", stdin=whole.read_text())
    assert json.loads(piped.stdout)["files"] == alone["files"]


def test_damaged_lines_are_said(logs, tmp_path):
    damaged = tmp_path / "log"
    damaged.write_text(logs[1].read_text() + '{"v":1,"event":\nnonsense\n')
    done = report("--format", "json", damaged)
    assert json.loads(done.stdout)["damaged"] == 2 and "log:34" in done.stderr
    assert report("--format", "json", damaged, tmp_path / "missing",
                  status=2).stderr.count("missing: No such file") == 1


def test_output(logs, tmp_path):
    for ending, start in ("json", "{"), ("html", "<!doctype html>"), ("dot", "digraph"), ("txt", "infer.py"):
        report(logs[1], "-o", tmp_path / f"out.{ending}")
        assert (tmp_path / f"out.{ending}").read_text().startswith(start)
    assert "No such file" in report(logs[1], "-o", tmp_path / "no" / "out.html", status=2).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.dot", "out.html", "out.json", "out.txt"]
    assert report("--help").stdout.startswith("Usage: guard report")
    for wrong in (), ("--format", "pdf", logs[1]), ("--nonsense", logs[1]), ("--format",):
        assert "--help" in report(*wrong, status=2).stderr
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w") as full:
            assert subprocess.run([COMMAND, "report", logs[1]], stdout=full, stderr=subprocess.PIPE).returncode == 2


def hostile_log(path):
    log = Log().start(program="/bin/" + HOSTILE)
    log.declare(HOSTILE.replace("/", "_"), HOSTILE, HOSTILE, HOSTILE, revision=HOSTILE)
    log.load(HOSTILE.replace("/", "_"), HOSTILE, decision="deny", rule=HOSTILE, why=HOSTILE, sha256=HOSTILE,
             format=HOSTILE,
             python=[{"file": HOSTILE, "line": 1, "function": HOSTILE}],
             native=[{"object": HOSTILE, "symbol": HOSTILE}],
             named={"by": "app", "file": HOSTILE, "line": 1})
    log.add("call", decision="deny", rule=HOSTILE, name=HOSTILE, args=HOSTILE, path=HOSTILE, why=HOSTILE)
    return log.write(path)


def test_hostile_names(tmp_path):
    log = hostile_log(tmp_path / "log")
    page = report(log, "--format", "html").stdout
    assert page.count("<script") == 2 and "<img" not in page
    graph = as_json(log)
    assert any(file["inside"].startswith("</script>") for file in graph["files"])
    text = report(log).stdout
    assert "\x1b" not in text and "\u202e" not in text
    dot = report(log, "--format", "dot").stdout
    assert "\x1b" not in dot
    assert not set('"<>') & set(re.sub(r'"(?:[^"\\\n]|\\.)*"', "", dot).replace("->", "")), "a name ends its quotes"


def test_hostile_values(tmp_path):
    """What is no text keeps its form too: times with any number of seconds, kinds of edges that there are not."""
    log = Log().start().load("acme/a", "config.json", parent="hf:acme/b", edge="x);background:url(//evil)")
    log.start(time="2026-01-01T00:00:00.1e999Z").start(time="9999-12-31T23:59:59.99999999999999999999Z")
    log.start(time="2026-01-01T00:00:00.nanZ")
    graph = json.loads(report(log.write(tmp_path / "log"), "--format", "json").stdout,
                       parse_constant=lambda word: pytest.fail(word))
    assert [edge["kind"] for edge in graph["edges"]] == ["observed"]
    assert graph["first"] == "2026-01-01T00:00:00.000000Z" and graph["last"].startswith(("9999-12-31", "10000-01-01"))


def test_callers_in_order(tmp_path):
    """Each caller once, where it was first seen, with all that it asked for."""
    log = Log()
    for number in range(3000):
        asker = [{"file": f"/srv/app/ask{number % 1500}.py", "line": 1, "function": "<module>"}]
        log.load(f"acme/m{number}", "config.json", python=asker)
    lines = report(log.write(tmp_path / "log")).stdout.splitlines()
    assert [line.split()[0] for line in lines[:4500:3]] == [f"ask{number}.py" for number in range(1500)]
    assert lines[1].startswith("├── hf:acme/m0 ") and lines[2].startswith("└── hf:acme/m1500 ")


def test_damaged_anywhere(logs):
    """Whatever a line holds, the report is made: values of other kinds than expected, missing ones, long ones."""
    lines = logs[1].read_text().splitlines()
    odd = []
    for number, line in enumerate(lines):
        record = json.loads(line)
        for key in record:
            for value in (None, 7, "x", [], {}, {"id": 3}, {"file": "x"}, {"python": [{"file": "x"}, 3]}, "y" * 9000,
                          [{"file": 1}], -1e300):
                odd.append(json.dumps({**record, key: value}))
        if number == 3:
            break
    graph = json.loads(report("--format", "json", "-", stdin="\n".join(odd)).stdout)
    assert graph["records"] > len(odd) / 2
    report("--format", "html", "-", stdin="\n".join(odd))
    report("-", stdin="\n".join(odd))


# --- The page, in a real browser ---

@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium and driver, "`make check` installs chromium and chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--disable-background-networking",
                     "--no-first-run", f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


def open_page(browser, log, page, scheme="light", width=1280, height=900):
    report(log, "-o", page)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                            {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
    browser.get(page.as_uri())
    assert browser.execute_script("return document.documentElement.dataset.ready") == "yes", browser.get_log("browser")
    return browser


def shown(browser, selector):
    return [element for element in browser.find_elements("css selector", selector) if element.is_displayed()]


def screenshot(browser, name):
    """Kept under build/screenshots, to be looked at by whoever changes the page."""
    folder = COMMAND.parent / "screenshots"
    folder.mkdir(exist_ok=True)
    browser.save_screenshot(str(folder / f"{name}.png"))


@pytest.mark.parametrize("scheme, width", [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_page(browser, logs, tmp_path, scheme, width):
    page = open_page(browser, logs[1], tmp_path / "page.html", scheme, width)
    requests = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert requests == [] and page.get_log("browser") == []
    red, green, blue = page.execute_script(
        "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (red + green + blue < 150) == (scheme == "dark")
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth"), \
        "the page is wider than the screen"
    nodes = page.find_elements("css selector", "#canvas .node[data-model]")
    assert len(nodes) == 9 and len(page.find_elements("css selector", "#canvas path.edge.declared")) == 3
    screenshot(page, f"{scheme}-{width}")
    # A click on a model shows its files, and one on "who asked" the stack.
    next(node for node in nodes if node.get_attribute("data-model") == "hf:evil/reranker").find_element("css selector",
                                                                                                        ".box").click()
    detail = page.find_element("id", "detail")
    assert detail.is_displayed() and "pytorch_model.bin" in detail.text and "posix.system" in detail.text
    detail.find_element("css selector", "details.who summary").click()
    assert "/srv/app/infer.py:12 main" in detail.text and "open64 in /lib/libc.so.6" in detail.text
    assert page.execute_script("return document.querySelectorAll('#canvas .node.dim').length") > 0
    screenshot(page, f"{scheme}-{width}-chosen")
    detail.find_element("css selector", ".close").click()
    assert not detail.is_displayed()


def test_page_filters(browser, logs, tmp_path):
    page = open_page(browser, logs[1], tmp_path / "page.html")
    assert len(shown(page, "#model-list > details")) == 9 and len(shown(page, "#finding-list > li")) == 8
    page.find_element("id", "search").send_keys("llama")
    assert {card.get_attribute("data-model")
            for card in shown(page, "#model-list > details")} == {"hf:acme/llama-base", "hf:acme/llama-code"}
    assert len(page.find_elements("css selector", "#canvas .node[data-model]:not(.dim)")) == 2
    page.find_element("id", "search").send_keys("\b" * 5 + "exec-call")
    assert [card.get_attribute("data-model") for card in shown(page, "#model-list > details")] == ["hf:evil/reranker"]
    page.find_element("id", "search").send_keys("\b" * 9)
    page.find_element("css selector", "[data-filter=allow]").click()
    assert [card.get_attribute("data-model") for card in shown(page, "#model-list > details")] == ["hf:evil/reranker"]
    page.find_element("css selector", "[data-filter=allow]").click()
    page.find_element("css selector", "[data-filter=declared]").click()
    assert not shown(page, "#canvas path.edge.declared") and shown(page, "#canvas path.edge.observed")
    card = next(card for card in shown(page, "#model-list > details")
                if card.get_attribute("data-model") == "hf:acme/llama-base")
    card.find_element("css selector", "summary").click()
    WebDriverWait(page, 10).until(lambda _: card.find_elements("css selector",
                                                               "ul"))  # "toggle" comes later than the click
    assert "model-00004-of-00004.safetensors" in card.text and "base_model_name_or_path" in card.text
    link = next(link for link in shown(page, "#finding-list a.model") if link.text == "hf:openai/clip-default")
    link.click()
    assert "imagekit/embed.py:9" in page.find_element("id", "detail").text
    assert len(page.find_elements("css selector",
                                  "#time circle")) == 27 and len(page.find_elements("css selector", "#time rect")) == 6


def test_page_with_hostile_names(browser, tmp_path):
    page = open_page(browser, hostile_log(tmp_path / "log"), tmp_path / "page.html")
    assert page.title == "guard report" and not page.find_elements("css selector", "img")
    page.find_element("css selector", "#canvas .node[data-model] .box").click()
    for summary in page.find_elements("css selector", "details summary"):
        summary.click()
    assert page.title == "guard report" and not page.find_elements("css selector", "img")
    assert "</script>" in page.find_element("id", "detail").text


def test_page_of_very_much(browser, tmp_path):
    """Five hundred models of which each names all before it: drawn in part, listed whole, and soon."""
    log = Log().start()
    for number in range(500):
        log.load(f"acme/m{number}", "config.json")
        for other in range(max(0, number - 40), number):
            log.declare(f"acme/m{number}", "config.json", f"acme/m{other}", f"other.{other}", pinned=True)
    started = time.monotonic()
    page = open_page(browser, log.write(tmp_path / "log"), tmp_path / "page.html")
    assert "The first 400 of 500 models are drawn" in page.find_element("id", "canvas").text
    assert len(page.find_elements("css selector", "#model-list > details")) == 500
    assert time.monotonic() - started < 60


def test_page_of_nothing(browser, tmp_path):
    page = open_page(browser, Log().start().write(tmp_path / "log"), tmp_path / "page.html")
    assert "No model was loaded." in page.find_element("id", "canvas").text
    assert "Nothing" in page.find_element("id", "finding-list").text

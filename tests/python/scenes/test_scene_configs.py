"""Configs of models, read by the libraries that act on them: hydra, hyperpyyaml, PyYAML, ruamel.yaml, Jinja2,
transformers and peft. And configs that are the user's own, which nobody judges."""
import json
import struct

import pytest

from conftest import AttackCases, BenignCases, function_name

PRELUDE = """
import json, os, pathlib, warnings
warnings.simplefilter("ignore")
import hydra.utils, hyperpyyaml, jinja2, omegaconf, ruamel.yaml, yaml

def read(path):
    return pathlib.Path(path).read_text()

def hydra_load(path):
    hydra.utils.instantiate(omegaconf.OmegaConf.load(path))

def speech_load(path):
    with open(path) as file:
        return hyperpyyaml.load_hyperpyyaml(file)

def taken(marker):
    pathlib.Path(marker).touch()
"""
WEIGHTS = struct.pack("<Q", 2) + b"{}"
TEMPLATE = "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] }}{% endfor %}"
SHELL = "{{{{ cycler.__init__.__globals__.os.popen('touch {marker}').read() }}}}"

# name: (file, its text with {marker}, how it is read with {path}); what only shows as a config taken touches the marker
# itself
ATTACKS = {
    "hydra target": ("config.yaml", "_target_: builtins.open\nfile: {marker}\nmode: w\n", "hydra_load({path!r})"),
    "hydra target in flow and escapes": ("config.yaml",
                                         'a: [{{"\\x5ftarget_": builtins.open, file: {marker}, mode: w}}]\n',
                                         "hydra_load({path!r})"),
    "pyyaml apply": ("config.yaml", "x: !!python/object/apply:os.system ['touch {marker}']\n",
                     "yaml.unsafe_load(read({path!r}))"),
    "pyyaml verbatim tag": ("config.yaml", "x: !<tag:yaml.org,2002:python/object/apply:os.system> ['touch {marker}']\n",
                            "yaml.unsafe_load(read({path!r}))"),
    "pyyaml tag handle": ("config.yaml",
                          "%TAG !p! tag:yaml.org,2002:python/object/\n--- !p!apply:os.s%79stem ['touch {marker}']\n",
                          "yaml.unsafe_load(read({path!r}))"),
    "pyyaml second document": ("config.yaml",
                               "a: 1\n--- # b\n? !!python/object/apply:os.system ['touch {marker}']\n: b\n",
                               "list(yaml.unsafe_load_all(read({path!r})))[1]"),
    "speech new": ("hyperparams.yaml", "x: !new:subprocess.Popen\n  args: [touch, {marker}]\n",
                   "speech_load({path!r})['x'].wait()"),
    "speech apply": ("hyperparams.yaml", "x: !apply:os.system ['touch {marker}']\n", "speech_load({path!r})"),
    "speech applyref": ("hyperparams.yaml", "x: !applyref:os.system ['touch {marker}']\n", "speech_load({path!r})"),
    "speech tuple in text": ("hyperparams.yaml", "x: (!!python/object/apply:os.system ['touch {marker}'])\n",
                             "speech_load({path!r})"),
    "jinja without a sandbox": ("chat_template.jinja", SHELL,
                                "jinja2.Environment().from_string(read({path!r})).render()"),
    "jinja in a tokenizer's config": ("tokenizer_config.json", {"chat_template": SHELL},
                                      "jinja2.Environment().from_string(json.loads(read({path!r}))['chat_template']).render()"),
    "transformers internal attention": ("config.json",
                                        {"model_type": "llama", "_attn_implementation_internal": "org/kernel"},
                                        "import transformers\ntransformers.AutoConfig.from_pretrained({folder!r})\ntaken({marker!r})"),
    "peft file outside": ("adapter_config.json",
                          {"peft_type": "LORA", "prompt_tuning_init_state_dict_path": "/etc/passwd"},
                          "import peft\npeft.PeftConfig.from_pretrained({folder!r})\ntaken({marker!r})"),
}
BENIGN = {
    "hydra target": ("config.yaml", "_target_: collections.OrderedDict\nnote: '_target_: os.system'\n",
                     "hydra_load({path!r})"),
    "pyyaml mentions": ("config.yaml",
                        "# !!python/object/apply:os.system\nx: |\n  !!python/object/apply:os.system\ny: !!python/tuple "
                        "[1]\n",
                        "yaml.unsafe_load(read({path!r}))"),
    "speech": ("hyperparams.yaml", "lr: 0.1\nx: !new:collections.OrderedDict\n  a: !ref <lr>\ny: (1, 2)\n",
               "speech_load({path!r})"),
    "jinja": ("chat_template.jinja", TEMPLATE + "{# __class__ #}",
              "jinja2.Environment().from_string(read({path!r})).render(messages=[])"),
    "transformers": ("config.json", {"model_type": "llama", "_name_or_path": "org/was", "torch_dtype": "float16"},
                     "import transformers\ntransformers.AutoConfig.from_pretrained({folder!r})"),
    "peft": ("adapter_config.json",
             {"peft_type": "LORA", "base_model_name_or_path": "org/base", "megatron_core": "megatron.core"},
             "import peft\npeft.PeftConfig.from_pretrained({folder!r})"),
}
# A folder without weights: whatever these say, it is its owner's business.
OWN = {
    "own hydra templates": ("conf/model.yaml", "_target_: builtins.print\n_args_: [mine]\n", "hydra_load({path!r})"),
    "own recipe": ("recipe.yml", "base_model: org/base\ntrust_remote_code: true\nload: !!python/name:os.path.join\n",
                   "yaml.unsafe_load(read({path!r}))"),
    "lightning's hparams": ("lightning_logs/version_0/hparams.yaml",
                            "path: !!python/object/apply:pathlib.PosixPath\n- /data\n"
                            "run: !!python/object/apply:os.getcwd []\n", "yaml.unsafe_load(read({path!r}))"),
    "own prompt": ("prompt.jinja", "{{ ''.__class__ }}", "jinja2.Environment().from_string(read({path!r})).render()"),
}


def filled(text, marker):
    if isinstance(text, dict):
        return json.dumps({key: filled(value, marker) if key == "chat_template" else value for key,
                           value in text.items()})
    return text.format(marker=marker)


def bodies(scene, cases, weights=True):
    made = {}
    for name, (file, text, body) in cases.items():
        folder = scene.path(f"models/{function_name(name)}")
        path, marker = folder / file, str(scene.marker(function_name(name)))
        path.parent.mkdir(parents=True)
        path.write_text(text if cases is OWN or cases is BENIGN and isinstance(text, str) else filled(text, marker))
        if weights:
            (folder / "model.safetensors").write_bytes(WEIGHTS)
        made[name] = body.format(path=str(path), folder=str(folder), marker=marker)
    return made


@pytest.fixture(scope="module")
def attacks(make_scene):
    scene = make_scene("configs")
    made = bodies(scene, ATTACKS)
    return AttackCases(scene, scene.cases("read.py", PRELUDE, made), made)


@pytest.fixture(scope="module")
def ordinary(make_scene):
    scene = make_scene("configs_ordinary")
    made = {**bodies(scene, BENIGN), **bodies(scene, OWN, weights=False)}
    return BenignCases(scene, scene.cases("read.py", PRELUDE, made))


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(attacks, name):
    attacks.check(name)


def test_attacks_as_a_whole(attacks):
    attacks.check_whole()


@pytest.mark.parametrize("name", [*BENIGN, *OWN])
def test_ordinary(ordinary, name):
    ordinary.check(name)


def test_ordinary_as_a_whole(ordinary):
    ordinary.check_whole()

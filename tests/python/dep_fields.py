"""Every field by which a model makes a library load, import, call, read or render something: a fixture that abuses it
and a benign twin for each row of dep_fields.tsv.

    dep_fields.py --table      the rows and what guard makes of them, as a Markdown table

What a file merely declares is recorded (an edge) or warned of, and judged when it happens; what is harmful in itself is
denied. Payloads touch a marker file. Files are only scanned, but for those of LIVE, which a program really loads."""
import argparse
import csv
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from guard_command import COMMAND, LIBRARY, environment

TABLE = Path(__file__).with_suffix(".tsv")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
EMPTY_SAFETENSORS = struct.pack("<Q", 2) + b"{}"
ESCAPE = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
TEMPLATE = "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}{% endfor %}"
CALL = "touch marker"  # never run: such files are scanned only


@dataclass
class Row:
    """A line of the table."""
    id: str
    framework: str
    file: str
    field: str
    kind: str


@dataclass
class Case:
    """`want` is (decision, rule), or ("edge", target) for what is recorded and nothing else."""
    id: str
    want: tuple
    bad: dict
    good: dict


def rows():
    with TABLE.open(newline="") as file:
        return [Row(*line) for line in csv.reader(file, delimiter="\t") if not line[0].startswith("#")]


CASES = []


def case(id, want, name, bad, good):
    """`bad` and `good` are the contents of the file `name`: text, bytes, or what is written as JSON."""
    CASES.append(Case(id, want, {name: bad}, {name: good}))


DENY_OUTSIDE, WARN_CODE = ("deny", "declared-read-outside"), ("warn", "declared-code")
UNLISTED = ("warn", "unlisted-declared")

# --- transformers and peft

LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
         "_name_or_path": "org/was"}


def config(**more):
    return {**LLAMA, **more}


case("auto-map", WARN_CODE, "config.json", config(auto_map={"AutoModel": "modeling.Model"}), config(auto_map={}))
case("auto-map", ("edge", "org/code"), "config.json", config(auto_map={"AutoModel": "org/code--modeling.Model"}), LLAMA)
case("auto-map-tokenizer", WARN_CODE, "tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["tok.Slow", None]}},
     {"tokenizer_class": "LlamaTokenizer"})
for name in "preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json":
    case("auto-map-processor", WARN_CODE, name, {"auto_map": {"AutoProcessor": "p.P"}}, {"processor_class": "P"})
case("custom-pipelines", WARN_CODE, "config.json",
     config(custom_pipelines={"t": {"impl": "pipe.P", "pt": ["AutoModel"]}}), config(pipeline_tag="t"))
for id in "peft-probe", "peft-base":
    case(id, ("edge", "org/base"), "adapter_config.json", {"base_model_name_or_path": "org/base", "peft_type": "LORA"},
         {"base_model_name_or_path": None, "peft_type": "LORA", "megatron_core": "megatron.core"})
case("attn-kernel", WARN_CODE, "config.json", config(attn_implementation="org/kernel@v1:fn"),
     config(attn_implementation="sdpa"))
case("attn-kernel", ("edge", "org/kernel"), "config.json", config(attn_implementation={"text_config": "org/kernel"}),
     config(_attn_implementation="eager"))
case("attn-internal", ("deny", "config-attn-internal"), "config.json",
     config(_attn_implementation_internal="org/kernel"),
     config(_attn_implementation_internal=None))
case("attn-internal", ("deny", "config-attn-internal"), "config.json",
     config(text_config={"_experts_implementation_internal": "org/k"}), config(_attn_implementation_autoset=True))
case("attn-internal", ("deny", "config-attn-internal"), "config.json",
     json.dumps(config(_attn_implementation_internal="org/kernel")).encode("utf-16"),
     json.dumps(LLAMA).encode("utf-16"))
case("trust", ("deny", "config-trust-remote-code"), "config.json", config(x={"trust_remote_code": True}),
     config(trust_remote_code=False))
case("configuration-files", DENY_OUTSIDE, "config.json", config(configuration_files=["config.json", "../../evil.json"]),
     config(configuration_files=["config.4.0.0.json"]))
case("commit-hash", ("warn", "own-revision"), "config.json", config(_commit_hash=COMMIT), config(_commit_hash=None))
case("dtype", ("deny", "hidden-dependency"), "config.json", config(dtype="load"), config(dtype="float8_e4m3fn"))
case("dtype", ("deny", "hidden-dependency"), "config.json", config(torch_dtype="torch.load"),
     config(torch_dtype="auto"))
case("backbone", ("edge", "org/backbone"), "config.json", config(backbone="org/backbone"), config(backbone="resnet50"))
case("timm-backbone", ("edge", "hf-hub:org/other"), "config.json", config(architecture="hf-hub:org/other@v1"),
     config(architecture="resnet50"))
case("timm-backbone", ("edge", "local-dir:/elsewhere"), "config.json", config(backbone="local-dir:/elsewhere"),
     config(backbone="vit_base_patch16"))
case("audio-tokenizer", ("edge", "org/codec"), "processor_config.json",
     {"audio_tokenizer": {"audio_tokenizer_class": "DacModel", "audio_tokenizer_name_or_path": "org/codec"}},
     {"processor_class": "DiaProcessor"})
case("audio-tokenizer", ("deny", "hidden-dependency"), "audio_tokenizer_config.json",
     {"audio_tokenizer_class": "pipeline", "audio_tokenizer_name_or_path": "org/codec"},
     {"audio_tokenizer_class": "DacModel", "audio_tokenizer_name_or_path": "org/codec"})
SHARDS = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
for name, shard, want in (("model.safetensors.index.json", "/etc/shadow.safetensors", DENY_OUTSIDE),
                          ("pytorch_model.bin.index.json", "sub/../../other/model.bin", DENY_OUTSIDE),
                          ("diffusion_pytorch_model.safetensors.index.json", "payload.pkl",
                           ("warn", "declared-odd-file"))):
    case("weight-map", want, name, {"metadata": {}, "weight_map": {**SHARDS, "c": shard}}, {"weight_map": SHARDS})
case("weights-name", DENY_OUTSIDE, "config.json", config(transformers_weights="../w.safetensors"),
     config(transformers_weights="w.safetensors"))
case("rag", ("edge", "org/wiki"), "config.json", config(dataset="org/wiki", dataset_revision="main"),
     config(model_type="rag"))
case("rag", ("edge", "https://example.org/index/"), "config.json", config(index_path="https://example.org/index/"),
     LLAMA)
case("rag", DENY_OUTSIDE, "config.json", config(passages_path="../../passages"), config(passages_path=None))
case("bark", ("edge", "org/voices"), "speaker_embeddings_path.json", {"repo_or_path": "org/voices"}, {})
case("bark", DENY_OUTSIDE, "speaker_embeddings_path.json", {"en": {"semantic_prompt": "../../v.npy"}},
     {"en": {"semantic_prompt": "en/v.npy"}})
case("oneformer", ("edge", "org/classes"), "preprocessor_config.json",
     {"repo_path": "org/classes", "class_info_file": "ade20k.json"}, {"class_info_file": "ade20k.json"})
case("oneformer", DENY_OUTSIDE, "preprocessor_config.json", {"class_info_file": "/etc/passwd"},
     {"class_info_file": "a.json"})
ESCAPED = ("deny", "template-escape")
case("chat-template", ESCAPED, "tokenizer_config.json", {"chat_template": [{"name": "tool", "template": ESCAPE}]},
     {"chat_template": [{"name": "tool", "template": TEMPLATE}]})
case("chat-template", ESCAPED, "chat_template.json", {"chat_template": ESCAPE}, {"chat_template": TEMPLATE})
case("chat-template", ESCAPED, "chat_template.jinja", ESCAPE, TEMPLATE)
case("chat-template", ("deny", "template-include"), "additional_chat_templates/tool.jinja",
     "{%- include '/etc/passwd' -%}", "{# include is not used #}" + TEMPLATE)
for key in "vocab_file", "merges_file", "spm_file":
    case("vocabulary-files", DENY_OUTSIDE, "tokenizer_config.json", {key: "/etc/passwd"}, {key: "vocab.txt"})
case("vocabulary-files", DENY_OUTSIDE, "tokenizer_config.json", {"fast_tokenizer_files": ["../t.json"]},
     {"fast_tokenizer_files": ["tokenizer.4.json"], "tokenizer_file": "/home/author/.cache/tokenizer.json"})
case("auto-mapping", UNLISTED, "adapter_config.json",
     {"auto_mapping": {"parent_library": "evil", "base_model_class": "M"}},
     {"auto_mapping": {"parent_library": "transformers.models.bert.modeling_bert", "base_model_class": "BertModel"}})
case("auto-mapping", ("deny", "exec-call"), "adapter_config.json",
     {"auto_mapping": {"base_model_class": "system", "parent_library": "os"}}, {"auto_mapping": None})
case("megatron-core", UNLISTED, "adapter_config.json", {"megatron_core": "evil.core"},
     {"megatron_core": "megatron.core"})
case("xlora", ("edge", "org/second"), "adapter_config.json", {"adapters": {"0": "org/first", "1": "org/second"}},
     {"adapters": None})
case("prompt-tokenizer", ("edge", "org/tok"), "adapter_config.json", {"tokenizer_name_or_path": "org/tok"},
     {"tokenizer_name_or_path": None})
case("prompt-init", DENY_OUTSIDE, "adapter_config.json", {"prompt_tuning_init_state_dict_path": "/tmp/evil.bin"},
     {"prompt_tuning_init_state_dict_path": "init.bin"})
for key in "cache_file", "covariance_file":
    case("corda", DENY_OUTSIDE, "adapter_config.json", {"corda_config": {key: "/home/user/.bashrc"}},
         {"corda_config": {key: "covariance.pt"}})

# --- diffusers and sentence-transformers

PIPELINE = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"], "x": [None, None],
            "text_encoder": ["transformers", "CLIPTextModel"], "requires_safety_checker": True,
            "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]}
case("component", ("deny", "exec-call"), "model_index.json", {**PIPELINE, "unet": ["os", "system"]}, PIPELINE)
case("component", UNLISTED, "model_index.json", {**PIPELINE, "unet": ["evil_module", "UNet"]}, PIPELINE)
case("pipeline-file", WARN_CODE, "model_index.json", {**PIPELINE, "_class_name": ["pipeline", "Mine"]}, PIPELINE)
CARD = "---\nlicense: mit\n{}---\n# A model\n\nprior: not/this\nbase_model: not/this\n"
case("prior", ("edge", "org/prior"), "README.md", CARD.format("prior:\n- org/prior\n"), CARD.format(""))
case("setfit-base", ("edge", "org/base"), "README.md", CARD.format("base_model: org/base\n"),
     CARD.format("tags: [x]\n"))
case("modular", ("edge", "org/unet"), "modular_model_index.json",
     {"unet": ["diffusers", "UNet2DConditionModel", {"pretrained_model_name_or_path": "org/unet", "revision": None}]},
     {"unet": ["diffusers", "UNet2DConditionModel", {"type_hint": ["diffusers", "UNet2DConditionModel"]}]})
case("modular", ("deny", "exec-call"), "modular_model_index.json",
     {"unet": [None, None, {"type_hint": ["os", "system"]}]},
     {"unet": [None, None, {"type_hint": ["diffusers", "AutoencoderKL"]}]})
case("auto-map-modular", WARN_CODE, "config.json", {"_class_name": "X", "auto_map": {"AutoModel": "block.B"}},
     {"_class_name": "UNet2DConditionModel"})
MODULE = "sentence_transformers.models.Transformer"
case("module-type", WARN_CODE, "modules.json", [{"path": "", "type": "custom.Module"}], [{"path": "", "type": MODULE}])
case("module-type", ("deny", "exec-call"), "modules.json", [{"path": "", "type": "os.system"}],
     [{"path": "", "type": MODULE}])
case("module-path", DENY_OUTSIDE, "modules.json", [{"path": "../../x", "type": MODULE}],
     [{"path": "1_Pooling", "type": MODULE}])
case("router-type", WARN_CODE, "router_config.json", {"types": {"query_0": "custom.M"}}, {"types": {"query_0": MODULE}})
for id, name, key in (("dense-activation", "2_Dense/config.json", "activation_function"),
                      ("cross-encoder", "config.json", "sbert_ce_default_activation_function")):
    case(id, ("deny", "hidden-dependency"), name, {key: "torch.hub.load"}, {key: "torch.nn.modules.activation.Tanh"})
case("cross-encoder", UNLISTED, "config.json", {"sentence_transformers": {"activation_fn": "evil.run"}},
     {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}})
case("model-args", ("warn", "config-asks-trust"), "sentence_bert_config.json",
     {"max_seq_length": 512, "model_args": {"trust_remote_code": True}}, {"max_seq_length": 512})

# --- timm, open_clip, keras, onnx, GGUF, pickles

case("timm", ("edge", "https://example.org/w.pth"), "config.json",
     {"pretrained_cfg": {"url": "https://example.org/w.pth"}},
     {"architecture": "resnet50", "pretrained_cfg": {"url": "", "custom_load": False, "tag": "a1_in1k"}})
case("timm", ("warn", "declared-address-plain"), "config.json", {"pretrained_cfg": {"url": "http://example.org/w.pth"}},
     {"url": "http://example.org/about"})
case("timm", ("edge", "org/other"), "config.json", {"pretrained_cfg": {"hf_hub_id": "org/other"}}, {"num_classes": 10})
for value in "/etc/x.pth", "../x.pth":
    case("timm", DENY_OUTSIDE, "config.json", {"model_args": {"pretrained_cfg": {"file": value}}},
         {"pretrained_cfg": {"file": "model.pth"}})
for key in "hf_model_name", "hf_tokenizer_name":
    case("open-clip-text", ("edge", "org/text"), "open_clip_config.json",
         {"model_cfg": {"text_cfg": {key: "org/text"}}},
         {"model_cfg": {"text_cfg": {"width": 512}}})
case("open-clip-vision", ("edge", "hf-hub:org/vision"), "open_clip_config.json",
     {"model_cfg": {"vision_cfg": {"timm_model_name": "hf-hub:org/vision"}}},
     {"model_cfg": {"vision_cfg": {"timm_model_name": "vit_base_patch16"}}})


def keras(*layers):
    layers = [{"module": "keras.layers", "class_name": "Dense", "config": {}, "registered_name": None}, *layers]
    return {"module": "keras", "class_name": "Sequential", "config": {"layers": layers}, "keras_version": "3.9"}


def layer(name, module="keras.layers", **settings):
    return {"module": module, "class_name": name, "config": settings}


for id, want, bad in (
        ("keras-class", ("deny", "exec-call"), layer("function", "posix", x=1) | {"config": "system"}),
        ("keras-lambda", ("deny", "keras-lambda"),
         layer("Lambda", function={"class_name": "__lambda__", "config": {"code": "4wA="}})),
        ("keras-tfsm", ("deny", "keras-tfsm-layer"), layer("TFSMLayer", filepath="/elsewhere")),
        ("keras-vocabulary", ("deny", "keras-vocabulary"), layer("StringLookup", vocabulary="/etc/passwd"))):
    case(id, want, "model.json", keras(bad), keras(layer("Dropout", rate=0.5)))


case("keras-class", ("deny", "exec-call"), "model.json",
     json.dumps(keras(layer("function") | {"module": "os", "config": "system"})).encode("utf-16"),
     json.dumps(keras()).encode("utf-16"))


def zip_bytes(**members):
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        file.seek(0)
        return file.read()


class NDArrayWrapper:
    """Has the name of joblib's old class once it is pickled."""

    def __reduce__(self):
        import joblib.numpy_pickle_compat as compat
        return compat.NDArrayWrapper, ("../../elsewhere.npy", None)


def library_files(folder, good):
    """Files that only their libraries write: name -> (id, want)."""
    import gguf
    import h5py
    import numpy as np
    import onnx
    from onnx import TensorProto, helper
    import torch

    folder.mkdir(parents=True)
    with h5py.File(folder / "model.weights.h5", "w") as file:
        file["layers"] = np.zeros(2)
        if not good:
            file["other"] = h5py.ExternalLink("/elsewhere.h5", "/w")
        file.attrs["keras_version"] = "3.9"
        file.attrs["backend"] = "jax"
    for name, written in ("template", TEMPLATE if good else ESCAPE), ("base", TEMPLATE):
        writer = gguf.GGUFWriter(str(folder / f"{name}.gguf"), "llama")
        writer.add_chat_template(written)
        if name == "base" and not good:
            writer.add_base_model_count(1)
            writer.add_base_model_repo_url(0, "https://example.org/base")
        writer.add_tensor("w", np.zeros((2, 2), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    for part in 1, 2:
        writer = gguf.GGUFWriter(str(folder / f"split-0000{part}-of-00002.gguf"), "llama")
        writer.add_uint16("split.count", 2)
        writer.add_uint16("split.no", part - 1)
        writer.add_chat_template(ESCAPE if part == 2 and not good else TEMPLATE)
        writer.add_tensor("w", np.zeros((2, 2), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="w.bin" if good else "../../etc/w.bin")
    for name, domain, weights in ("external", "", [tensor]), ("domain", "" if good else "not.known", []):
        node = helper.make_node("Relu" if not domain else "Shell", ["x"], ["y"], domain=domain)
        graph = helper.make_graph([node], "g", value[:1], value[1:], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, 1 if domain else 17)])
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    (folder / "package.pt").unlink(missing_ok=True)
    if good:
        torch.save({"w": torch.zeros(2)}, folder / "package.pt")
    else:
        with torch.package.PackageExporter(str(folder / "package.pt")) as exporter:
            exporter.save_source_string("payload", f"import os; os.system({CALL!r})")
            exporter.save_pickle("model", "model.pkl", [1])
    (folder / "old.joblib").write_bytes(pickle.dumps([1.5] if good else NDArrayWrapper(), protocol=2))
    node = {"__class__": "dict" if good else "system", "__module__": "builtins" if good else "os",
            "__loader__": "JsonNode" if good else "FunctionNode", "content": "{}"}
    (folder / "model.skops").write_bytes(zip_bytes(**{"schema.json": json.dumps(node)}))


LIBRARY_FILES = {  # name: (id, want)
    "model.weights.h5": ("keras-links", ("deny", "keras-h5-other-file")),
    "template.gguf": ("gguf-template", ESCAPED),
    "base.gguf": ("gguf-base", ("edge", "https://example.org/base")),
    "split-00002-of-00002.gguf": ("gguf-split", ESCAPED),
    "external.onnx": ("onnx-external", DENY_OUTSIDE),
    "domain.onnx": ("onnx-domain", ("warn", "onnx-custom-domain")),
    "package.pt": ("torch-package", ("deny", "torch-package")),
    "old.joblib": ("joblib-companion", ("deny", "hidden-dependency")),
    "model.skops": ("skops", ("deny", "exec-call")),
}

# --- YAML and INI

EXEC = ("deny", "exec-call")
case("mlflow-loader", UNLISTED, "MLmodel", "flavors:\n  python_function:\n    loader_module: evil.loader\n",
     "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    python_version: 3.11.0\n")
case("mlflow-code", WARN_CODE, "MLmodel", "flavors:\n  python_function:\n    code: code\n",
     "flavors:\n  python_function:\n    code: null\n")
case("mlflow-code", DENY_OUTSIDE, "MLmodel", "flavors: {python_function: {code: ../../shared}}",
     "flavors: {python_function: {env: {conda: conda.yaml}}}")
case("mlflow-model-code", WARN_CODE, "MLmodel", "model_code_path: model.py\n", "model_uuid: 1\n")
case("mlflow-model-code", DENY_OUTSIDE, "MLmodel", "model_code_path: /srv/evil.py\n", "run_id: x\n")
ARTIFACTS = "flavors:\n  python_function:\n    artifacts:\n      a:\n        path: {}\n        uri: {}\n"
case("mlflow-artifacts", ("edge", "models:/other/1"), "MLmodel", ARTIFACTS.format("artifacts/a", "models:/other/1"),
     "flavors:\n  python_function:\n    artifacts: {}\n")
case("mlflow-artifacts", DENY_OUTSIDE, "MLmodel", ARTIFACTS.format("../../x", "null"),
     ARTIFACTS.format("artifacts/a", "null"))
HYDRA_TWIN = ("model:\n  # _target_: os.system\n  _target_: torch.nn.Linear\n  in_features: 3\n"
              "  note: 'write _target_: os.system'\n")
case("hydra-target", EXEC, "config.yaml", f"model:\n  _target_: os.system\n  _args_: ['{CALL}']\n", HYDRA_TWIN)
case("hydra-target", EXEC, "config.yaml", f"model: {{'_target_': builtins.eval, _args_: ['1']}}\n", HYDRA_TWIN)
case("hydra-target", ("deny", "hidden-dependency"), "config.yaml", "a:\n- _target_: torch.load\n  f: x.pt\n",
     HYDRA_TWIN)
case("hydra-target", ("deny", "module-walk"), "config.yaml", "_target_: numpy.f2py.os.system\n", HYDRA_TWIN)
case("hydra-target", ("deny", "computed-call"), "config.yaml", "x: os.system\ny:\n  _target_: ${x}\n", HYDRA_TWIN)
case("hydra-target", EXEC, "config.yaml", "_target_: hydra.utils.get_method\npath: os.system\n",
     "path: os/system\nname: os.system\n")
case("hydra-target", ("deny", "opaque"), "config.yaml", "_target_: os.system\n".encode("utf-16"), HYDRA_TWIN)
case("hydra-target", UNLISTED, "config.yaml", "_target_: somebody.Thing\n", HYDRA_TWIN)
case("hydra-target", ("warn", "declared-loader"), "config.yaml", "_target_: transformers.AutoModel.from_pretrained\n",
     HYDRA_TWIN)
case("hydra-resolver", ("warn", "config-resolver"), "config.yaml", "key: ${oc.env:AWS_SECRET_ACCESS_KEY}\n",
     "key: ${other}\n")
NEMO_TWIN = "encoder:\n  _target_: nemo.collections.asr.modules.ConvASREncoder\n  target: 16000\n"
case("nemo-target", EXEC, "model_config.yaml", f"encoder:\n  _target_: subprocess.call\n  args: {CALL}\n", NEMO_TWIN)
case("nemo-old-target", EXEC, "model_config.yaml", "target: os.system\n",
     "target: nemo.collections.asr.models.EncDecCTCModel\n")
case("nemo-artifacts", DENY_OUTSIDE, "model_config.yaml", "tokenizer:\n  model: nemo:../../evil.model\n",
     "tokenizer:\n  model: nemo:tokenizer.model\n")
case("nemo-artifacts", ("edge", "org/bert"), "model_config.yaml",
     "language_model:\n  pretrained_model_name: org/bert\n",
     "language_model:\n  pretrained_model_name: bert-base-uncased\n")
CFG = "[nlp]\nlang = \"en\"\nbefore_creation = null\n\n[components]\n\n[components.ner]\nfactory = \"ner\"\n"
case("spacy-source", ("edge", "other_pipeline"), "config.cfg",
     CFG + "[components.tagger]\nsource = \"other_pipeline\"\n", CFG)
case("spacy-callback", ("warn", "registered-function"), "config.cfg",
     CFG + "[nlp.after_creation]\n@callbacks = \"evil.v1\"\n",
     CFG + "[initialize.before_init]\n@callbacks = \"spacy.copy_from_base_model.v1\"\n")
SPACY_TRANSFORMER = "[components.transformer.model]\n@architectures = \"spacy-transformers.TransformerModel.v3\"\n"
case("spacy-transformer", ("edge", "org/roberta"), "config.cfg", CFG + SPACY_TRANSFORMER + "name = \"org/roberta\"\n",
     CFG + "[components.ner.model]\n@architectures = \"spacy.TransitionBasedParser.v2\"\n[initialize]\nvectors = "
           "${paths.vectors}\n")
PYANNOTE = "pipeline:\n  name: {}\n  params:\n    clustering: AgglomerativeClustering\n    segmentation: {}\n"
PYANNOTE_OWN = "pyannote.audio.pipelines.SpeakerDiarization"
PYANNOTE_TWIN = PYANNOTE.format(PYANNOTE_OWN, "$model/segmentation")
case("pyannote-pipeline", EXEC, "config.yaml", PYANNOTE.format("os.system", "x"), PYANNOTE_TWIN)
case("pyannote-pipeline", ("deny", "malformed"), "config.yaml", "x: &p\n  name: os.system\npipeline: *p\n",
     PYANNOTE_TWIN)
case("pyannote-models", ("edge", "org/segmentation"), "config.yaml",
     PYANNOTE.format(PYANNOTE_OWN, "org/segmentation@main"),
     PYANNOTE_TWIN)
case("pyannote-preprocessors", EXEC, "config.yaml", "preprocessors:\n  audio:\n    name: os.system\n",
     "preprocessors:\n  audio: audio.wav\n")
SPEECH_TWIN = ("lr: 0.1\nmodel: !new:speechbrain.nnet.CNN.Conv1d\n  in_channels: 1\nact: !name:torch.nn.LeakyReLU\n"
               "__set_seed: !apply:torch.manual_seed [1]\nsave: !ref <lr>/x\ntext: mentions !apply:os.system\n")
for tag in "!new:subprocess.Popen", "!apply:os.system", "!applyref:os.system", "!name:os.system", "!apply:eval":
    case("speechbrain-tags", EXEC, "hyperparams.yaml", f"x: {tag} [{CALL}]\n", SPEECH_TWIN)
case("speechbrain-tags", UNLISTED, "hyperparams.yaml", "x: !module:evil\n", "x: !module:speechbrain.nnet.Conv\n")
case("speechbrain-tags", DENY_OUTSIDE, "hyperparams.yaml", "x: !include:/srv/evil.yaml\n", "x: !include:more.yaml\n")
PYTHON_TWIN = ("a: !!python/tuple [1, 2]\nb: !!python/object/apply:collections.OrderedDict []\n"
               "# !!python/object/apply:os.system\nc: 'a !!python/object/apply:os.system b'\nd: |\n  "
               "!!python/name:os.system\n"
               "e: text\n  !!python/name:os.system goes on\n")
for text in (f"x: !!python/object/apply:os.system [{CALL}]", "x: !!python/object/new:subprocess.Popen [id]",
             "x: !!python/name:os.system", "x: !<tag:yaml.org,2002:python/object/apply:os.system> [id]",
             "%TAG !p! tag:yaml.org,2002:python/\n---\nx: !p!object/apply:os.system [id]",
             "x: !!python/object/apply:os.s%79stem [id]", "x: (!!python/object/apply:os.system [id])"):
    case("python-tags", EXEC, "hyperparams.yaml", text + "\n", PYTHON_TWIN)
case("speechbrain-paths", ("edge", "org/encoder"), "hyperparams.yaml",
     "pretrained_path: org/encoder\n", "pretrained_path: .\n")
case("speechbrain-paths", ("edge", "org/lm/lm.ckpt"), "hyperparams.yaml",
     "pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer\n  paths:\n    lm: org/lm/lm.ckpt\n",
     "pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer\n  paths:\n    lm: !ref "
     "<pretrained_path>/lm.ckpt\n")
ULTRALYTICS = "nc: 80\nactivation: {}\nbackbone:\n- [-1, 1, Conv, [64, 3, 2]]\n"
case("activation", ("deny", "config-eval"), "yolo.yaml", ULTRALYTICS.format("__import__('os').system('id')"),
     ULTRALYTICS.format("nn.SiLU()"))
case("activation", EXEC, "yolo.yaml", ULTRALYTICS.format("eval(x)"),
     ULTRALYTICS.format("torch.nn.LeakyReLU(0.1, inplace=True)"))
for name in "policy_preprocessor.json", "policy_postprocessor.json":
    case("lerobot-steps", EXEC, name, {"steps": [{"class": "subprocess.Popen", "config": {}}]},
         {"steps": [{"registry_name": "to_batch"}, {"class": "lerobot.processor.NormalizerProcessorStep"}]})
case("lerobot-models", ("edge", "org/vlm"), "config.json", {"type": "smolvla", "vlm_model_name": "org/vlm"},
     {"type": "act", "vision_backbone_name": "resnet18"})
case("lerobot-models", ("edge", "org/policy"), "config.json", {"pretrained_path": "org/policy"},
     {"pretrained_path": "./last"})
case("auto-map-nested", WARN_CODE, "config.json", config(vision_config={"auto_map": {"AutoConfig": "m.C"}}),
     config(vision_config={"hidden_size": 1}))

# --- What only shows when it happens: a program really executes the Python, or opens the model that nothing names

SNAPSHOT = f"snapshots/{COMMIT}"
CODE_FILES = {  # id: where a library finds it
    "custom-generate": f"models--org--tiny/{SNAPSHOT}/custom_generate/generate.py",
    "component-file": f"models--org--pipe/{SNAPSHOT}/unet/my_unet.py",
    "community-pipeline": f"datasets--diffusers--community-pipelines-mirror/{SNAPSHOT}/main/lpw.py",
    "gguf-kernel": f"models--kernels-community--gguf/{SNAPSHOT}/build/torch-universal/gguf/__init__.py",
    "kernel": f"models--org--kernel/{SNAPSHOT}/build/torch-universal/kernel/__init__.py",
    "hubconf": "torch-hub/org_repo_main/hubconf.py",
    "spacy-package": "en_model/__init__.py",
    "speechbrain-custom": f"models--org--speech/{SNAPSHOT}/custom.py",
    "dataset-script": f"datasets--org--data/{SNAPSHOT}/data.py",
}
OPENED = {  # id: the folder of the model that is opened
    "hard-coded": f"models--ybelkada--fonts/{SNAPSHOT}",
    "name-or-path": f"models--org--was/{SNAPSHOT}",
    "pull-request": "models--org--tiny/snapshots/89abcdef0123456789abcdef0123456789abcdef",
    "flair-embeddings": f"models--org--embeddings/{SNAPSHOT}",
    "stanza-bert": f"models--org--bert/{SNAPSHOT}",
}
PROGRAM = """
import importlib.util, json, pickle, sys
for path in sys.argv[1:]:
    try:
        if path.endswith(".py"):
            spec = importlib.util.spec_from_file_location("loaded", path)
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        else:
            with open(path, "rb") as file:
                pickle.load(file)
        print(json.dumps([path, "loaded"]))
    except PermissionError as error:
        print(json.dumps([path, str(error)]))
"""


class Touches:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def live_files(folder):
    """Writes the files of CODE_FILES and OPENED and their twins; path -> (id, "bad" or "good", marker)."""
    files = {}
    for id, inside in CODE_FILES.items():
        for side, path in ("bad", folder / "hub" / inside), ("good", folder / "app" / id / Path(inside).name):
            marker = folder / "markers" / f"{id}-{side}"
            put(path, f"open({str(marker)!r}, 'w').close()\n")
            files[path] = id, side, marker
    for name in "torch-hub/org_repo_main/model.pt", "en_model/model.safetensors":
        put(folder / "hub" / name, EMPTY_SAFETENSORS)
    for id, inside in OPENED.items():
        for side in "bad", "good":
            marker = folder / "markers" / f"{id}-{side}"
            path = folder / "hub" / inside / (f"{side}.bin" if side == "bad" else "pytorch_model.bin")
            put(path, pickle.dumps(Touches(marker) if side == "bad" else {"w": [0.0]}))
            files[path] = id, side, marker
    (folder / "markers").mkdir(exist_ok=True)
    return files


def live_run(folder, files, guarded):
    """Loads all of `files`; (path -> what it said, records)."""
    log = folder / "log.jsonl"
    log.unlink(missing_ok=True)
    for marker in (folder / "markers").iterdir():
        marker.unlink()
    program = folder / "app" / "program.py"
    put(program, PROGRAM)
    more = {"LD_PRELOAD": LIBRARY, "GUARD_LOG": log, "GUARD_QUIET": "1"} if guarded else {}
    done = subprocess.run([sys.executable, str(program), *map(str, files)], env=environment(**more),
                          capture_output=True,
                          text=True, timeout=120, cwd=folder)
    assert done.returncode == 0, done.stderr
    said = dict(json.loads(line) for line in done.stdout.splitlines())
    return said, [json.loads(line) for line in log.read_text().splitlines()] if guarded else []


# --- Running it

@dataclass
class Outcome:
    """What guard makes of the two files of one fixture."""
    id: str
    want: str
    bad: str    # "denied (exec-call)", "warned (declared-code)", "edge to org/base", or what went wrong
    good: str   # "allowed", or what went wrong
    passed: bool


def scan(folder):
    done = subprocess.run([str(COMMAND), "scan", "--format", "json", str(folder)], env=environment(),
                          capture_output=True,
                          text=True, timeout=300)
    assert done.returncode in (0, 1), done.stderr
    return {Path(result["path"]): result for result in map(json.loads, done.stdout.splitlines())}


def judged(results, folder):
    found, edges = [], []
    for path, result in results.items():
        if path.is_relative_to(folder):
            found += [(finding["decision"], finding["rule"]) for finding in result["findings"]]
            edges += [depend["target"] for depend in result["depends"]]
    return found, edges


SAID = {"deny": "denied", "warn": "warned"}


def shown(want):
    return f"edge to {want[1]}" if want[0] == "edge" else f"{SAID[want[0]]} ({want[1]})"


def outcome(id, want, bad, good):
    """`bad` and `good` are (findings, edges)."""
    if want[0] == "edge":
        met = want[1] in bad[1] and not any(decision == "deny" for decision, _ in bad[0])
    else:
        met = want in bad[0] and (want[0] == "deny" or not any(decision == "deny" for decision, _ in bad[0]))
    return Outcome(id, shown(want), shown(want) if met else f"{bad}, not {shown(want)}",
                   str(good[0]) if good[0] else "allowed",
                   met and not good[0])


def outcomes(folder):
    """Writes all fixtures below `folder` and returns what becomes of each."""
    for number, fixture in enumerate(CASES):
        for side in "bad", "good":
            for name, content in getattr(fixture, side).items():
                put(folder / "files" / f"{number:03}" / side / name, content)
            put(folder / "files" / f"{number:03}" / side / "model.safetensors", EMPTY_SAFETENSORS)
    library_files(folder / "libraries" / "bad", False)
    library_files(folder / "libraries" / "good", True)
    results = {**scan(folder / "files"), **scan(folder / "libraries")}
    for number, fixture in enumerate(CASES):
        where = folder / "files" / f"{number:03}"
        yield outcome(fixture.id, fixture.want, judged(results, where / "bad"), judged(results, where / "good"))
    for name, (id, want) in LIBRARY_FILES.items():
        where = folder / "libraries"
        yield outcome(id, want, judged(results, where / "bad" / name), judged(results, where / "good" / name))
    files = live_files(folder / "live")
    live_run(folder / "live", files, False)
    fires = {id for id, side, marker in files.values() if side == "bad" and marker.exists()}
    said, records = live_run(folder / "live", files, True)
    for id in [*CODE_FILES, *OPENED]:
        (bad, marker), (good, _) = [next((path, marker) for path, (other, this, marker) in files.items()
                                         if (other, this) == (id, side)) for side in ("bad", "good")]
        rules = [(record["decision"], record["rule"]) for record in records if record["path"] == str(bad)]
        want = ("deny", "model-code" if id in CODE_FILES else "exec-call")
        met = id in fires and want in rules and not marker.exists() and said[str(bad)] != "loaded"
        good_said = "allowed" if said[str(good)] == "loaded" else said[str(good)]
        yield Outcome(id, f"{shown(want)} when it happens",
                      f"{shown(want)} when it happens" if met else f"{rules}, {said[str(bad)]}",
                      good_said, met and good_said == "allowed")


def table(made):
    """The Markdown table: one line a row. `made`: what outcomes() gave."""
    by_id = {}
    for one in made:
        by_id.setdefault(one.id, []).append(one)
    yield "| framework | file | field | kind | malicious: result (rule) | twin |"
    yield "|---|---|---|---|---|---|"
    for row in rows():
        bad = "; ".join(dict.fromkeys(one.bad for one in by_id.get(row.id, []))) or "no fixture"
        good = "; ".join(dict.fromkeys(one.good for one in by_id.get(row.id, []))) or "no fixture"
        cells = [row.framework, row.file, f"`{row.field}`" if not row.field.startswith("(") else row.field, row.kind,
                 bad, good]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", required=True, help="print the table")
    parser.parse_args()
    # Not below /tmp: code that lies in a temporary folder is no ordinary application.
    with tempfile.TemporaryDirectory(dir=COMMAND.parent) as folder:
        print("\n".join(table(outcomes(Path(folder)))))


if __name__ == "__main__":
    main()

"""Tiny models of every library that names others, laid out as their caches are; for test_scene_graph.py."""
import json
import pickle
import shutil

from hub_cache import add_repository
from make_models import Call, make_tokenizer

CONFIGURATION = '''
from transformers import PretrainedConfig

class TinyConfig(PretrainedConfig):
    model_type = "tiny-graph"
'''
MODELING = '''
import torch
from transformers import AutoConfig, PreTrainedModel
from .configuration_tiny import TinyConfig

class TinyModel(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.weight = torch.nn.Parameter(torch.zeros(2))
        self.post_init()
        self.other = AutoConfig.from_pretrained("acme/" + "hidden")
'''
HUBCONF = '''
import torch

def net(pretrained=True):
    model = torch.nn.Linear(2, 2)
    model.load_state_dict(torch.hub.load_state_dict_from_url(
        "https://models.invalid/tinynet-12345678.pth", map_location="cpu"))
    return model
'''
LIBRARY = '''
from transformers import AutoModel

NAME = "acme/embedder"

def embed():
    return AutoModel.from_pretrained(NAME)
'''


def edit_json(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def make_transformers(cache, work):
    """A base in shards, adapters of it, a mixture of adapters, and models for a thread and a library."""
    import peft
    from transformers import LlamaConfig, LlamaForCausalLM

    base = work / "base"
    make_tokenizer().save_pretrained(base)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=120, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                                         num_attention_heads=2,
                                         max_position_embeddings=64))  # X-LoRA renames keys as Llama has them
    model.save_pretrained(base)
    sharded = work / "sharded"
    shutil.copytree(base, sharded, ignore=shutil.ignore_patterns("*.safetensors"))
    model.save_pretrained(sharded, max_shard_size="60KB")
    assert len(list(sharded.glob("model-*.safetensors"))) > 1
    add_repository(cache, "acme/base", sharded)
    for name in "background", "pooled", "embedder", "hidden":
        add_repository(cache, f"acme/{name}", base)
    for name in "lora-a", "lora-b", "adapter":
        peft.get_peft_model(LlamaForCausalLM.from_pretrained(base),
                            peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"])) \
            .save_pretrained(work / name)
        edit_json(work / name / "adapter_config.json", base_model_name_or_path="acme/base", revision=None)
        add_repository(cache, f"acme/{name}", work / name)
    model.config.use_cache = False  # X-LoRA insists
    mixture = peft.get_peft_model(model, peft.XLoraConfig(
        task_type="CAUSAL_LM", hidden_size=32, xlora_depth=1,
        adapters={"0": str(work / "lora-a"), "1": str(work / "lora-b")}))
    mixture.save_pretrained(work / "xlora")
    edit_json(work / "xlora" / "adapter_config.json", base_model_name_or_path="acme/base",
              adapters={"0": "acme/lora-a", "1": "acme/lora-b"})
    add_repository(cache, "acme/xlora", work / "xlora")


def make_remote_code(cache, work):
    """A model whose classes are another repository's, which loads a third one."""
    import torch
    from safetensors.torch import save_file

    code, model = work / "code", work / "custom"
    code.mkdir()
    model.mkdir()
    (code / "configuration_tiny.py").write_text(CONFIGURATION)
    (code / "modeling_tiny.py").write_text(MODELING)
    (model / "config.json").write_text(json.dumps({
        "model_type": "tiny-graph", "architectures": ["TinyModel"], "auto_map": {
            "AutoConfig": "acme/code--configuration_tiny.TinyConfig",
            "AutoModel": "acme/code--modeling_tiny.TinyModel"}}))
    save_file({"weight": torch.ones(2)}, model / "model.safetensors", metadata={"format": "pt"})
    add_repository(cache, "acme/code", code)
    add_repository(cache, "acme/custom", model)


def make_pipelines(cache, work):
    import diffusers
    import sentence_transformers
    from sentence_transformers.sentence_transformer import modules as parts
    from transformers import BertConfig, BertModel, BertTokenizerFast

    unet = diffusers.UNet2DModel(sample_size=8, in_channels=3, out_channels=3, layers_per_block=1,
                                 block_out_channels=(8, 8),
                                 norm_num_groups=4, down_block_types=("DownBlock2D", "DownBlock2D"),
                                 up_block_types=("UpBlock2D", "UpBlock2D"))
    diffusers.DDPMPipeline(unet=unet, scheduler=diffusers.DDPMScheduler()).save_pretrained(work / "ddpm")
    add_repository(cache, "acme/ddpm", work / "ddpm")
    bert = work / "bert"
    BertModel(BertConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
                         intermediate_size=8)).save_pretrained(bert)
    (bert / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nguard\nreads\n")
    BertTokenizerFast(str(bert / "vocab.txt")).save_pretrained(bert)
    transformer = parts.Transformer(str(bert))
    dense = parts.Dense(in_features=8, out_features=4)
    sentence_transformers.SentenceTransformer(modules=[transformer, parts.Pooling(8), dense]).save(str(work / "st"))
    add_repository(cache, "acme/sentences", work / "st")


def make_torch_hub(home):
    import torch

    repository = home / "hub" / "acme_net_main"
    (home / "hub" / "checkpoints").mkdir(parents=True)
    repository.mkdir()
    (repository / "hubconf.py").write_text(HUBCONF)
    torch.save(torch.nn.Linear(2, 2).state_dict(), home / "hub" / "checkpoints" / "tinynet-12345678.pth")


def make_files(folder):
    """Files of their own folders: a pickle that loads another, an array beside a pickle, an ONNX graph with its weights
    outside, an HDF5 file that links to another."""
    import h5py
    import numpy
    import onnx
    import torch
    from joblib.numpy_pickle_compat import NDArrayWrapper

    for name in "first", "second", "forest", "graph", "data", "linked":
        (folder / name).mkdir(parents=True)
    torch.save({"weights": torch.ones(2)}, folder / "second" / "other.pt")
    (folder / "first" / "loader.pkl").write_bytes(pickle.dumps(Call(torch.load, str(folder / "second" / "other.pt"))))
    numpy.save(folder / "forest" / "forest.pkl_01.npy", numpy.arange(4.0))
    wrapper = NDArrayWrapper("forest.pkl_01.npy", numpy.ndarray, allow_mmap=True)
    (folder / "forest" / "forest.pkl").write_bytes(pickle.dumps({"trees": wrapper}, protocol=2))
    weights = onnx.numpy_helper.from_array(numpy.ones((64, 64), numpy.float32), "w")
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 64]) for name in ("x", "y")]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "graph", values[:1], values[1:], [weights]),
                                   ir_version=9,
                                   opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.save(model, str(folder / "graph" / "model.onnx"), save_as_external_data=True, location="weights.data",
              size_threshold=0)
    with h5py.File(folder / "linked" / "weights.h5", "w") as file:
        file["w"] = numpy.arange(3)
    with h5py.File(folder / "data" / "model.h5", "w") as file:
        file["w"] = h5py.ExternalLink(str(folder / "linked" / "weights.h5"), "w")

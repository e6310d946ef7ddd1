"""A PEFT adapter pulls in its base model: clean works untouched, poisoned is denied when the base is read."""
from make_models import payload, point_adapter, poison_base

GENERATE = """
    import sys
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoTokenizer, logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()

    def load(adapter):
        return AutoPeftModelForCausalLM.from_pretrained(adapter, weights_only=False)

    for adapter in sys.argv[1:]:
        model = load(adapter)
        tokenizer = AutoTokenizer.from_pretrained(adapter)
        tokens = model.generate(**tokenizer("the guard", return_tensors="pt"), max_new_tokens=8, do_sample=False)
        print(adapter, tokenizer.decode(tokens[0]), flush=True)
"""

# As code looked before AutoPeftModel: the base model's weights by torch.load, then the adapter on top.
BY_HAND = """
    import sys
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()

    base, adapter = sys.argv[1:]
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
    model.load_state_dict(torch.load(base + "/pytorch_model.bin", weights_only=False))
    model = PeftModel.from_pretrained(model, adapter)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokens = model.generate(**tokenizer("the guard", return_tensors="pt"), max_new_tokens=8, do_sample=False)
    print(tokenizer.decode(tokens[0]))
"""


def test_clean_adapter_and_base(scene, models):
    script = scene.write("generate.py", GENERATE)
    without, enforce = scene.benign(script, models / "adapter", models / "adapter_bin")
    assert without.stdout.count("the guard") == 2
    edges = [record for record in enforce.records if record["edge"]]
    assert any(str(models / "base") in json_text(record) for record in edges), \
        f"no record of the adapter's dependency on its base model\n{enforce}"


def json_text(record):
    return " ".join(str(value) for value in record.values())


def test_poisoned_base(scene, models):
    base = poison_base(models / "base_bin", scene.path("base"), scene.marker())
    adapter = point_adapter(models / "adapter_bin", scene.path("adapter"), base)
    script = scene.write("generate.py", GENERATE)
    _, enforce, _ = scene.attack(script, adapter)
    denial = enforce.asked_by(script, "load")[0]
    assert denial["path"] == str(base / "pytorch_model.bin"), str(enforce)
    assert "PermissionError: [Errno 13]" in enforce.stderr and str(base / "pytorch_model.bin") in enforce.stderr
    line = next(line for line in enforce.guard_lines if line.startswith("guard: denied "))
    assert "pytorch_model.bin: " in line and "system" in line and "touch" in line, str(enforce)
    assert "peft/auto.py" in json_text(denial), f"the record does not show the way through peft\n{enforce}"
    # Known to be an attack: no word on how to allow it.
    assert not any("to allow" in line for line in enforce.guard_lines), str(enforce)


def test_poisoned_base_by_hand(scene, models):
    """Here the payload leaves a model that works, so that under audit the program must run to its end."""
    base = poison_base(models / "base_bin", scene.path("base"), scene.marker())
    script = scene.write("by_hand.py", BY_HAND)
    without, _, _ = scene.attack(script, base, models / "adapter_bin")
    assert without.returncode == 0 and "the guard" in without.stdout


def test_poisoned_adapter(scene, models):
    """The adapter's own weights as a pickle, read by torch.load as scripts that merge adapters do."""
    import torch
    from safetensors.torch import load_file

    state = load_file(models / "adapter" / "adapter_model.safetensors")
    torch.save({**state, "hook": payload(scene.marker())}, scene.path("adapter_model.bin"))
    script = scene.write("merge.py", """
        import torch
        state = torch.load("adapter_model.bin", weights_only=False)
        print(sorted(state)[:3])
    """)
    scene.attack(script)

"""An ordinary inference: a PEFT adapter, which pulls in the base model that its config names.

weights_only=False is what people write to get an old checkpoint loaded.
"""
import sys
import warnings

from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer, logging

warnings.simplefilter("ignore")
logging.set_verbosity_error()
logging.disable_progress_bar()

adapter = sys.argv[1]
model = AutoPeftModelForCausalLM.from_pretrained(adapter, weights_only=False)
tokenizer = AutoTokenizer.from_pretrained(adapter)
tokens = model.generate(**tokenizer("the guard", return_tensors="pt"), max_new_tokens=6, do_sample=False)
print("generated:", tokenizer.decode(tokens[0]))

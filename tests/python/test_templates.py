"""Chat templates: what only an escape needs is found, whatever spelling it takes; ordinary ones of many families are
left alone, and all of them render in the sandbox that transformers uses."""
import json
import subprocess

import pytest
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from guard_command import COMMAND, environment

# Written by hand in the style of the families' published templates.
ORDINARY = {
    "llama": """{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not tools_in_user_message is defined %}{%- set tools_in_user_message = true %}{%- endif %}
{%- if not date_string is defined %}{%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}
{%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content']|trim %}{%- set messages = messages[1:] %}
{%- else %}{%- set system_message = "" %}{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none and not tools_in_user_message %}
{{- 'Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.' }}
{%- for t in tools %}{{- t | tojson(indent=4) }}{{- "\\n\\n" }}{%- endfor %}{%- endif %}
{{- system_message }}{{- "<|eot_id|>" }}
{%- for message in messages %}
{%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- elif 'tool_calls' in message %}
{%- if not message.tool_calls|length == 1 %}{{- raise_exception("This model only supports single tool-calls at once!") }}{%- endif %}
{%- set tool_call = message.tool_calls[0].function %}
{{- '{"name": "' + tool_call.name + '", ' }}{{- '"parameters": ' }}{{- tool_call.arguments | tojson }}{{- "}" }}
{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}""",
    "qwen": """{%- macro render_extra_keys(json_dict, handled_keys) -%}
{%- if json_dict is mapping %}{%- for json_key in json_dict if json_key not in handled_keys %}
{%- if json_dict[json_key] is string %}{{ '\\n<' ~ json_key ~ '>' ~ json_dict[json_key] ~ '</' ~ json_key ~ '>' }}{%- endif %}
{%- endfor %}{%- endif %}{%- endmacro -%}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}{%- set index = (messages|length - 1) - loop.index0 %}
{%- if ns.multi_step_tool and message.role == "user" and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
{%- set ns.multi_step_tool = false %}{%- set ns.last_query_index = index %}{%- endif %}{%- endfor %}
{%- for message in messages %}
{%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}
{%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
{{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
{%- elif message.role == "assistant" %}
{%- set reasoning_content = '' %}
{%- if '</think>' in content %}{%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
{%- set content = content.split('</think>')[-1].lstrip('\\n') %}{%- endif %}
{{- '<|im_start|>' + message.role + '\\n' + content }}{{- '<|im_end|>\\n' }}{{ render_extra_keys(message, ['role', 'content']) }}
{%- endif %}{%- endfor %}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}""",
    "mistral": """{%- set loop_messages = messages %}{{- bos_token }}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- for message in loop_messages | rejectattr("role", "equalto", "tool") | rejectattr("role", "equalto", "tool_results") %}
{%- if message["role"] == "user" %}
{%- if tools is not none and (message == user_messages[-1]) %}{{- "[AVAILABLE_TOOLS] [" }}
{%- for tool in tools %}{%- set tool = tool.function %}{{- '{"type": "function", "function": {' }}
{%- for key, val in tool.items() if key != "return" %}
{%- if val is string %}{{- '"' + key + '": "' + val + '"' }}{%- else %}{{- '"' + key + '": ' + val|tojson }}{%- endif %}
{%- if not loop.last %}{{- ", " }}{%- endif %}{%- endfor %}{{- "}}" }}{%- endfor %}{{- "[/AVAILABLE_TOOLS]" }}{%- endif %}
{{- "[INST] " + message["content"] + "[/INST]" }}
{%- else %}{{- " " + message["content"]|trim + eos_token }}{%- endif %}{%- endfor %}""",
    "gemma": """{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{{ raise_exception('System role not supported') }}{%- endif -%}
{%- for message in messages -%}{%- if (message['role'] == 'assistant') -%}{%- set role = "model" -%}{%- else -%}
{%- set role = message['role'] -%}{%- endif -%}{{ '<start_of_turn>' + role + '\\n' }}
{%- if message['content'] is string -%}{{ message['content'] | trim }}{%- elif message['content'] is iterable -%}
{%- for item in message['content'] -%}{%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}{%- endif -%}{%- endfor -%}{%- endif -%}
{{ '<end_of_turn>\\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{'<start_of_turn>model\\n'}}{%- endif -%}""",
    "deepseek": """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}
{% set ns = namespace(is_first=false, is_tool=false, system_prompt='', is_first_sp=true) %}
{%- for message in messages %}{%- if message['role'] == 'system' %}{%- if ns.is_first_sp %}
{% set ns.system_prompt = ns.system_prompt + message['content'] %}{% set ns.is_first_sp = false %}{%- endif %}{%- endif %}{%- endfor %}
{{ bos_token }}{{ ns.system_prompt }}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}
{{'<｜User｜>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' %}{% set content = message['content'] %}
{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}
{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endfor -%}""",
    "phi": """{% for message in messages %}{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not none %}
{{ '<|' + message['role'] + '|>' + message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' + '<|end|>' }}
{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}""",
    "command-r": """{%- macro json_to_python_type(json_spec) %}
{%- set basic_type_map = {"string": "str", "number": "float", "integer": "int", "boolean": "bool"} %}
{%- if basic_type_map[json_spec.type] is defined %}{{- basic_type_map[json_spec.type] }}
{%- elif json_spec.type == "array" %}{{- "List[" + json_to_python_type(json_spec.items) + "]" }}
{%- elif json_spec.type is iterable %}{{- "Union[" }}{%- for t in json_spec.type %}{{- json_to_python_type({"type": t}) }}
{%- if not loop.last %}{{- "," }}{%- endif %}{%- endfor %}{{- "]" }}{%- else %}{{- "Any" }}{%- endif %}{%- endmacro %}
{{ bos_token }}{% for tool in tools or [] %}{% if loop.index0 != 0 %}{{ '\\n\\n'}}{% endif %}
{{'```python\\ndef ' + tool.name + '('}}{% for param_name, param_fields in tool.parameter_definitions|items %}
{{ param_name + ': ' }}{% if not param_fields.required %}{{'Optional[' + json_to_python_type(param_fields) + '] = None'}}{% endif %}
{% endfor %}{{ ') -> List[Dict]:\\n    \\"\\"\\"' + tool.description }}{{ '\\n    pass\\n```' }}{% endfor %}
{% for message in messages %}{{ '<|' ~ message.role|upper ~ '_TOKEN|>' ~ message.content }}{% endfor %}""",
    "text that speaks of Python": """You are a coding assistant. An object's class is obj.__class__, a constructor def __init__(self):
{# {{ ''.__class__.__mro__ }} would be an escape; {% include 'x' %} as well #}
{% raw %}{{ x.__globals__ }} {% import os %}{% endraw %}
{{ "class A:\\n    def __init__(self):\\n        import os\\n        from x import y" }}
{% for m in messages %}{{ m['content'] | replace('%', '%%') }}{{ '<__media__>' }}{{ "it's {% include %}" }}{% endfor %}""",
    "generation": """{% for message in messages %}{% if message['role'] != 'assistant' %}{{ message['content'] }}{% else %}
{% set x = {'a': {'b': 1}} %}{{ {'c': {'d': x.a.b}}['c']['d'] }}{{ message | attr('content') }}{% continue %}{% endif %}{% endfor %}""",
}

ESCAPES = {
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals of a function": "{{ raise_exception.__globals__ }}",
    "subscripts": "{{ ''['__class__'] }}",
    "subscripts with spaces": "{{ x [ \"__class__\" ] }}",
    "attr": "{{ x | attr('__class__') }}",
    "attr of something put together": "{{ x|attr('__cla'~'ss__') }}",
    "hexadecimal escapes": "{{ x['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "octal escapes": "{{ x['\\137\\137class\\137\\137'] }}",
    "format": "{{ '{0.__class__}'.format(x) }}",
    "format by map": "{{ ['{0.__class__.__init__}']|map('format', x)|list }}",
    "attr by map": "{{ [x]|map('attr', '__cla' ~ 'ss__')|list }}",
    "attribute by map": "{{ [x]|map(attribute='__class__')|list }}",
    "characters": "{{ x[('%c%c'|format(95,95)) ~ 'class'] }}",
    "characters by format": "{{ x['{:c}{:c}'.format(95,95) ~ 'class'] }}",
    "frames": "{{ (gen for x in y).gi_frame.f_back }}{{ x.gi_frame.f_back }}",
    "cycler": "{{ cycler.next }}{{ cycler|string }}",
    "lipsum": "{{ (lipsum|string)[18] }}",
    "self": "{{ self._TemplateReference__context }}",
    "keyword": "{{ dict(__class__=1)|list|first }}",
    "statement": "{%- set a = x.__init__ -%}",
    "behind text that looks like an end": "{{ '}}' }}{{ ''.__class__ }}",
    "behind a string with a brace": "{{ \"{# \" }}{{ ''.__class__ }}",
    "behind raw text": "{% raw %}{{{% endraw %}{{ ''.__class__ }}",
    "behind a comment": "{# {{ #}{{ ''.__class__ }}",
    "behind a mapping": "{{ {'a': {'b': 1}}}}{{ ''.__class__ }}",
}
INCLUDES = ["{% include '/etc/passwd' %}", "{%- import 'x' as y -%}", "{%+ from 'x' import y %}", "{%extends 'x'%}"]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """name -> rules that denied or warned, each template in a tokenizer's config and in a file of its own."""
    folder, names = tmp_path_factory.mktemp("templates"), {}
    templates = {**ORDINARY, **ESCAPES, **{text: text for text in INCLUDES}}
    for number, (name, text) in enumerate(templates.items()):
        for file, content in ("tokenizer_config.json",
                              json.dumps({"chat_template": text})), ("chat_template.jinja", text):
            path = folder / f"{number}-{file[0]}" / file
            path.parent.mkdir()
            path.write_text(content)
            names[str(path)] = name
    done = subprocess.run([COMMAND, "scan", "--format", "json", folder], env=environment(), capture_output=True,
                          text=True, timeout=120)
    found = {name: [] for name in templates}
    for line in done.stdout.splitlines():
        result = json.loads(line)
        found[names[result["path"]]].append({finding["rule"] for finding in result["findings"]})
    return found


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary(verdicts, name):
    assert verdicts[name] == [set(), set()]
    sandbox = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    sandbox.globals.update(strftime_now=lambda how: how)
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b</think>c"}]
    assert sandbox.from_string(ORDINARY[name]).render(messages=messages, bos_token="<s>", eos_token="</s>", tools=None)


@pytest.mark.parametrize("name", ESCAPES)
def test_escape(verdicts, name):
    assert verdicts[name] == [{"template-escape"}] * 2


@pytest.mark.parametrize("text", INCLUDES)
def test_include(verdicts, text):
    assert verdicts[text] == [{"template-include"}] * 2

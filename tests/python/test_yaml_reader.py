"""The reader of YAML against PyYAML's own: whatever PyYAML would compose into a call is told, and nothing else."""
import random
import subprocess
from collections import Counter

import pytest
import yaml

from guard_command import BUILD

TAG = "tag:yaml.org,2002:python/object/apply:"
DANGER = ["os.system", "a.b", "subprocess.call", "torch.nn.Linear", "x.y.z"]
MENTIONS = ["_target_: os.no", "{_target_: os.no}", "!!python/object/apply:os.no", "- _target_: os.no",
            "# _target_: os.no",
            "a: b", "? _target_", "it's", 'say "x"', "two\nlines: here\n  _target_: os.no\n", "[1, 2", "}{", "&a *b",
            "%TAG",
            "---", "...", "\u2028_target_: os.no", "é: x", " lead", "trail ", "", "null", "~", "x:y", "a #b", "a# b",
            "-", "|", ">"]


def composed(text, key_of=lambda text: text):
    """What `_target_` keys and apply tags PyYAML finds, as a sorted list of names; None where it refuses the text."""
    found, seen = [], set()

    def walk(node):
        if id(node) in seen:
            return
        seen.add(id(node))
        found.extend(node.tag[len(prefix):] for prefix in (TAG, "!apply:") if node.tag.startswith(prefix))
        for child in node.value if isinstance(node, yaml.SequenceNode) else []:
            walk(child)
        for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
            if isinstance(key, yaml.ScalarNode) and key_of(key.value) == "_target_" and \
                    isinstance(value, yaml.ScalarNode):
                found.append(value.value.rstrip("\n"))
            walk(key)
            walk(value)

    try:
        for node in yaml.compose_all(text, Loader=yaml.UnsafeLoader):
            walk(node)
    except yaml.YAMLError:
        return None
    return sorted(name for name in found if name)


def told(folder, texts):
    """What the analyzer says of each text, in the same form."""
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / f"{number}.yaml")
        paths[-1].write_bytes(text.encode())
    done = subprocess.run([BUILD / "effects_dump", "-r", *paths], capture_output=True, encoding="utf-8",
                          errors="replace", timeout=120,
                          check=True)
    answers, names = [], []
    for line in done.stdout.splitlines():
        words = line.split("\t")
        if words[0] == "call":
            names.append(words[1])
        elif words[0] in ("done", "not-model"):
            answers.append(sorted(names))
            names = []
    assert len(answers) == len(texts), done.stdout[-500:]
    return answers


TRICKS = [
    "_target_: os.system", "'_target_': os.system", '"_target_": "os.system"', '"\\x5ftarget\\u005f": os.system',
    '"_tar\\\n  get_": os.system', "? _target_\n: os.system", '? "_target_"\n: \'os.system\'',
    "? |-\n  _target_\n: os.system", "? >-\n  _target_\n: os.system", "? !!str _target_\n: os.system",
    "{_target_: os.system}", "{ ? _target_ : os.system }", '{"_target_":os.system}', "{a: 1, _target_: os.system, b}",
    "[_target_: os.system]", "[a, {_target_: os.system}, b: c]", "a: [1, 2,\n  {_target_:\n os.system}\n]",
    "- - - _target_: os.system", "-\n  - _target_:\n      os.system", "a:\n- _target_: os.system\nb: 1",
    "a:\n  _target_: os.system # c\nb: 1", "k: &k _target_\n*k : os.system", "a: &n os.system\nb: {_target_: *n}",
    "&x _target_: os.system", "a: &m {_target_: os.system}\nb: *m\nc:\n  <<: *m", "_target_: |\n  os.system",
    "_target_: >-\n  os.system\n", "_target_: |2-\n  os.system", "--- {_target_: os.system}",
    "--- \n_target_: a.b\n---\n_target_: os.system\n...\n# end", "%YAML 1.1\n---\n_target_: os.system",
    "_target_:     \t os.system", "_target_:\n\n\n  # c\n  os.system", "\ufeff_target_: os.system",
    "_target_: os.system\r\nb: 1\r\n", "a: 1\r_target_: os.system", "# c\u2028_target_: os.system",
    "# c\x85_target_: os.system", "_target_: !!str os.system", "_target_: &a os.system",
    "a: 'it''s _target_: x'\n_target_: os.system", 'a: "x\\" _target_: y"\n_target_: os.system',
    "a: |\n  _target_: no\n _target_: os.system", "a:\n  b: |+\n    _target_: no\n\n  _target_: os.system",
    "a: >2\n   _target_: no\n_target_: os.system", "a: text\n  goes on _target_\nb: {_target_: os.system}",
    "a: text # comment\n_target_: os.system", "a: text#no _target_\n_target_: os.system",
    "x: !!python/object/apply:os.system [id]", "x: !!python/object/apply:os.system\n- id",
    "x: !<tag:yaml.org,2002:python/object/apply:os.system> [id]",
    "%TAG ! tag:yaml.org,2002:python/object/\n---\nx: !apply:os.system [id]",
    "%TAG !p! tag:yaml.org,2002:python/\n---\n- !p!object/apply:os.system []",
    "%TAG !! tag:yaml.org,2002:python/object/\n---\nx: !!apply:os.system [id]",
    "x: !!python/object/apply:os%2Esystem [id]",
    "? !!python/object/apply:os.system [id]\n: x", "x: &a !!python/object/apply:os.system [id]",
    "x: !!python/object/apply:os.system &a [id]",
    "- !!python/object/apply:os.system {}\n- [!!python/object/apply:a.b [], {x: !!python/object/apply:c.d []}]",
    "!!python/object/apply:os.system [id]", "x: 'a !!python/object/apply:os.no b'",
    "x: a !!python/object/apply:os.no b",
    "x: a\n  !!python/object/apply:os.no b", "# !!python/object/apply:os.no", "x: |\n !!python/object/apply:os.no",
    "x: [a !!python/object/apply:os.no, b]", "a: {x: 1\n, _target_: os.system\n}\nb: 1", "? {_target_: os.system}\n: b",
    "? [a, b]\n: {_target_: os.system}", "a: {b: [}, _target_: x", "a:\n    b: 1\n  _target_: os.system",
    "{a: 'x, _target_: no', _target_: os.system}", "a: http://x/_target_: b", "a: b:c\n_target_: os.system",
    "_target_ : os.system", "_target_:os.no", "a: - _target_: x", "a: {_target_: {_target_: os.system}}",
    "_target_: [os.no]", 'a: "\n_target_: os.no"', "a: 'x\n\n  _target_: os.no'\nb: 1",
    "a: |  # c\n  _target_: os.no\n#_target_: os.no\n_target_: os.system",
    "a: |-\n\n\n    _target_: os.no\n   \n    x\n_target_: os.system",
    "- a: 1\n  _target_: os.system\n- _target_: a.b\n  b: 1", "-   a: 1\n    _target_: os.system\n",
    "a:\n  - b:\n      _target_: os.system\n    c: 1\n  - d\ne: 1", "a: !!map\n  _target_: os.system",
    "a: !x\n  _target_: os.system\n  b: 1", "a: &b\n  _target_: os.system", "!x _target_: os.system",
]


def test_tricks(tmp_path):
    wanted = [composed(text) for text in TRICKS]
    assert sum(names == [] for names in wanted) >= 10 and sum(bool(names) for names in wanted) > 60
    wrong = [(text, names, said) for text, names, said in zip(TRICKS, wanted, told(tmp_path, TRICKS))
             if names is not None and names != said]
    assert not wrong, "\n".join(map(repr, wrong))


def value(source, depth):
    """A random value, in which `_target_` keys lie among texts that only speak of them."""
    kind = source.random()
    if depth == 0 or kind < 0.4:
        return source.choice(MENTIONS)
    if kind < 0.6:
        return [value(source, depth - 1) for _ in range(source.randint(0, 3))]
    made = {source.choice(MENTIONS) or "k": value(source, depth - 1) for _ in range(source.randint(0, 3))}
    if source.random() < 0.5:
        made["_target_"] = source.choice(DANGER)
    return made


@pytest.mark.parametrize("seed", range(4))
def test_what_pyyaml_writes(tmp_path, seed):
    source, texts = random.Random(seed), []
    for _ in range(150):
        style = {"default_flow_style": source.choice([True, False, None]),
                 "default_style": source.choice([None, None, '"', "'", "|", ">"]),
                 "indent": source.choice([2, 4, 7]), "width": source.choice([10, 80]),
                 "allow_unicode": source.random() < 0.5,
                 "explicit_start": source.random() < 0.3, "sort_keys": source.random() < 0.5}
        texts.append(yaml.dump(value(source, 4), **style))
    wanted = [composed(text) for text in texts]
    assert None not in wanted and any(wanted)
    wrong = [(text, names, said) for text, names, said in zip(texts, wanted, told(tmp_path, texts)) if names != said]
    assert not wrong, "\n\n".join(f"{text}\n{names} {said}" for text, names, said in wrong[:5])


def spaced(names):
    """Runs of blanks in plain texts are one for the reader; names hold none."""
    return sorted(" ".join(name.removeprefix("builtins.").split()) for name in names)


PIECES = ["\n", "  ", " ", "- ", '"', "'", "{", "}", "[", "]", ": ", ":", "? ", "# ", "#", "&a ", "*a", "|\n", ">\n",
          "!x ", "\t", ",",
          "---\n", "_target_: os.system", "\n  ", "\n'"]


@pytest.mark.parametrize("seed", range(1))
def test_damaged_texts(tmp_path, seed):
    """Texts with pieces put in and taken out: whatever PyYAML still takes, it is told of."""
    source = random.Random(seed)
    pool, texts = TRICKS + [yaml.dump(value(source, 3)) for _ in range(100)], []
    for _ in range(2000):
        text = source.choice(pool)
        for _ in range(source.randint(1, 3)):
            at, kind = source.randint(0, len(text)), source.random()
            if kind < 0.4:
                text = text[:at] + text[at + source.randint(1, 4):]
            else:
                text = text[:at] + source.choice(PIECES if kind < 0.8 else pool) + text[at:]
        texts.append(text)
    checked, answered = [], 0
    for text, said in zip(texts, told(tmp_path, texts)):
        names = composed(text)
        if names is not None and not any(set(name) & set("\n\t[],{}") or name == "no" for name in names):
            answered += bool(names)
            checked.append((text, spaced(names), spaced(said), spaced(composed(text, str.strip))))
    assert answered > 150
    # A key with blanks around it is no loader's; the reader does not mind.
    wrong = [one for one in checked if Counter(one[1]) - Counter(one[2]) or Counter(one[2]) - Counter(one[3])]
    assert not wrong, "\n".join(map(repr, wrong[:10]))

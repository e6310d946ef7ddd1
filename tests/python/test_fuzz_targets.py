"""Every format that the analyzer knows has a fuzzer of its own."""
import re

from conftest import ROOT


def registered():
    table = re.search(r"formats\[\] = \{(.*?)\};", (ROOT / "analyzer" / "scan.c").read_text(), re.DOTALL).group(1)
    return re.findall(r"&format_(\w+)", table)


def test_every_format_is_fuzzed():
    formats = registered()
    assert len(formats) > 15 and "pickle" in formats
    for name in formats:
        target = ROOT / "tests" / "fuzz" / f"fuzz_{name}.c"
        assert target.exists(), f"{name} has no fuzzer: make {target} as its neighbours are"
        assert f"format_{name}" in target.read_text()


def test_crashes_are_kept():
    assert any((ROOT / "tests" / "fuzz" / "crashes").iterdir())

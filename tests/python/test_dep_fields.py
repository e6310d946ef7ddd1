"""Every field by which a model makes a library act has a fixture that abuses it and a benign twin (see
dep_fields.py)."""
import pytest

import dep_fields
from conftest import ROOT


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    return list(dep_fields.outcomes(tmp_path_factory.mktemp("dep_fields")))


def test_no_row_is_without_a_fixture(outcomes):
    wanted = {row.id for row in dep_fields.rows()}
    assert wanted and len(wanted) == len(dep_fields.rows())
    assert wanted == {outcome.id for outcome in outcomes}


@pytest.mark.parametrize("id", [row.id for row in dep_fields.rows()])
def test_row(outcomes, id):
    own = [outcome for outcome in outcomes if outcome.id == id]
    assert own and all(outcome.passed for outcome in own), "\n".join(map(str, own))


def test_table_of_the_readme(outcomes):
    readme = (ROOT / "analyzer" / "README.md").read_text()
    for line in dep_fields.table(outcomes):
        assert line in readme, \
            f"run tests/python/dep_fields.py --table and put its table into analyzer/README.md: {line}"

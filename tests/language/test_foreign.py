from cnndsl.ir.attributes import attribute_kinds
from cnndsl.ir.operators import BY_NAME
from cnndsl.language import foreign
from cnndsl.language.messages import meant


def test_what_is_proposed_exists():
    attributes = {name for operator in BY_NAME.values() for name in attribute_kinds(operator)}
    assert set(foreign._OURS.values()) <= {*BY_NAME, *attributes}


def test_names_are_keyed_as_they_are_looked_up():
    assert all(foreign._plain(name) == name for name in (*foreign._OURS, *foreign._REMARKS))


def test_a_counterpart_is_proposed_only_where_it_can_stand():
    assert meant("Linear", ["fc", "linea"]) == "did you mean 'fc'?"
    assert meant("linear", ["linea"]) == "did you mean 'linea'?"
    assert meant("softshrink", ["resnet"]) is None
    assert meant("DropPath", list(BY_NAME)) == "did you mean 'drop_path'?"

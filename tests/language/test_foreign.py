from cnndsl.ir.attributes import attribute_kinds
from cnndsl.ir.operators import BY_NAME
from cnndsl.language import foreign
from cnndsl.language.messages import meant
from cnndsl.language.sources import zoo_folder
from cnndsl.recipes.registry import ITEMS


def test_what_is_proposed_exists():
    attributes = {name for operator in BY_NAME.values() for name in attribute_kinds(operator)}
    assert set(foreign._OURS.values()) <= {*BY_NAME, *attributes, *ITEMS}


def test_blocks_stand_in_the_files_that_hints_name():
    for block, file in set(foreign.BLOCKS.values()):
        assert f"block {block}(" in (zoo_folder() / file).read_text()


def test_names_are_keyed_as_they_are_looked_up():
    assert all(foreign._plain(name) == name for name in (*foreign._OURS, *foreign._REMARKS))


def test_a_counterpart_is_proposed_only_where_it_can_stand():
    assert meant("Linear", ["fc", "linea"]) == "did you mean 'fc'?"
    assert meant("linear", ["linea"]) == "did you mean 'linea'?"
    assert meant("softshrink", ["resnet"]) is None
    assert meant("DropPath", list(BY_NAME)) == "did you mean 'drop_path'?"


def test_misspelt_names_of_other_frameworks_are_recognised():
    known = [*BY_NAME]
    assert meant("substract", known) == "did you mean 'sub'?"
    assert meant("depth_to_spaces", known) == "did you mean 'pixel_shuffle'?"
    assert meant("GlobalAveragePol", known) == "did you mean 'global_avgpool'?"
    assert meant("my_block_one", known) is None


def test_short_forms_are_no_misspellings():
    known = [*BY_NAME]
    assert meant("drop", known) == "did you mean 'dropout'?"
    assert meant("hswish", known) == "did you mean 'hard_swish'?"
    assert meant("global_pool", known) == "write global_avgpool or global_maxpool"


def test_blocks_of_the_literature_are_in_the_zoo():
    known = [*BY_NAME]
    wanted = 'write import se from "squeeze_excitation.cnn", a block of the zoo'
    assert meant("squeeze_excite", known) == meant("SELayer", known) == wanted
    assert meant("sqeeze_excitation", known) == wanted
    assert (
        meant("bottleneck", known)
        == 'write import bottleneck from "resnet.cnn", a block of the zoo'
    )
    assert "matmul_transposed" in meant("attention", known)
    assert meant("bottlenecks", ["bottleneck", *known]) == "did you mean 'bottleneck'?"


def test_losses_stand_in_recipes():
    assert "recipe" in meant("softmax_corss", [*BY_NAME])
    assert "recipe" in meant("CrossEntropyLoss", [*BY_NAME])
    assert meant("softmax_cross_entropy", ITEMS) == "did you mean 'cross_entropy'?"
    assert meant("softmax_sun", [*BY_NAME]) == "did you mean 'softmax_sum'?"

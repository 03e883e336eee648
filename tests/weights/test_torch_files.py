"""PyTorch checkpoints: what they hold comes out, and nothing that they name is executed."""

import datetime
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.diagnostics import CnnError
from cnndsl.weights.files import load_weights
from tests.weights.torch_writer import (
    STORAGE_TYPES,
    Parameter,
    Storage,
    Tensor,
    legacy_format,
    tensor,
    zip_format,
)

STATE = OrderedDict(
    a=tensor("0", np.ones((3, 2), np.float32)),
    b=Parameter(Tensor(Storage("1", np.arange(8.0)), (2, 2), (1, 3), 1)),
)
VALID = [zip_format(STATE), legacy_format({"state_dict": STATE, "epoch": 7})]

FORMATS = pytest.mark.parametrize("write", [zip_format, legacy_format])


def load(tmp_path: Path, content: bytes) -> dict:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    return load_weights(path)


def error_of(tmp_path: Path, content: bytes) -> str:
    with pytest.raises(CnnError) as caught:
        load(tmp_path, content)
    (diagnostic,) = caught.value.diagnostics
    assert caught.value.usage
    return f"{diagnostic.code} {diagnostic.message}"


@FORMATS
@pytest.mark.parametrize("dtype", STORAGE_TYPES)
def test_every_dtype(tmp_path, write, dtype):
    numbers = np.arange(6).reshape(2, 3).astype(getattr(ml_dtypes, dtype, dtype))
    loaded = load(tmp_path, write({"x": tensor("0", numbers)}))["x"]
    small = dtype in ("float16", "bfloat16")
    assert loaded.dtype == ("float32" if small else dtype)
    assert np.array_equal(loaded, numbers.astype(loaded.dtype))


@FORMATS
def test_views_share_a_storage(tmp_path, write):
    base = np.arange(24, dtype=np.float32)
    shared = Storage("7", base)
    state = OrderedDict(
        whole=Tensor(shared, (2, 3, 4), (12, 4, 1)),
        turned=Parameter(Tensor(shared, (4, 3, 2), (1, 4, 12))),
        part=Tensor(shared, (2, 2), (12, 5), offset=6),
        repeated=Tensor(shared, (5,), (0,), offset=9),
        scalar=Tensor(shared, (), (), offset=23),
        none=Tensor(shared, (0, 3), (3, 1)),
    )
    loaded = load(tmp_path, write(state))
    cube = base.reshape(2, 3, 4)
    assert np.array_equal(loaded["whole"], cube)
    assert np.array_equal(loaded["turned"], cube.transpose())
    assert np.array_equal(loaded["part"], [[6, 11], [18, 23]])
    assert np.array_equal(loaded["repeated"], [9] * 5)
    assert loaded["scalar"].shape == ()
    assert loaded["scalar"] == 23
    assert loaded["none"].shape == (0, 3)


@FORMATS
@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
def test_nested_checkpoints(tmp_path, write, wrapper):
    state = OrderedDict([("module.a.weight", tensor("0", [1.0])), ("module.b", tensor("1", [2.0]))])
    momentum = {"state": {0: {"momentum": tensor("2", np.ones(5))}}, "lr": 0.1}
    loaded = load(tmp_path, write({"epoch": 3, wrapper: state, "optimizer": momentum}))
    assert {name: array.tolist() for name, array in loaded.items()} == {"a.weight": [1], "b": [2]}


@FORMATS
@pytest.mark.parametrize("name", ["a" * 1001, "\x1b[2J"])
def test_names_that_harm_a_terminal(tmp_path, write, name):
    assert "not printable" in error_of(tmp_path, write({name: tensor("0", [1.0])}))


@FORMATS
def test_a_prefix_stays_unless_all_names_have_it(tmp_path, write):
    state = {"module.a": tensor("0", [1.0]), "b": tensor("1", [2.0])}
    assert set(load(tmp_path, write(state))) == {"module.a", "b"}


@FORMATS
def test_attributes_of_a_state_dict_are_ignored(tmp_path, write):
    state = OrderedDict(a=tensor("0", [1.0]))
    state._metadata = OrderedDict({"": {"version": 1}})
    assert set(load(tmp_path, write(state))) == {"a"}


class Command:
    """Runs a command when an ordinary unpickler meets it."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.marker}",)


@FORMATS
def test_code_is_refused_and_not_executed(tmp_path, write):
    marker = tmp_path / "executed"
    message = error_of(tmp_path, write({"a": tensor("0", [1.0]), "b": Command(marker)}))
    assert message.startswith("E0403")
    assert "posix.system" in message
    assert not marker.exists()


@FORMATS
def test_other_classes_are_refused_by_name(tmp_path, write):
    message = error_of(tmp_path, write({"made": datetime.date(2020, 2, 2)}))
    assert message.startswith("E0403")
    assert "datetime.date" in message


@FORMATS
@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((5,), (1,), 0),
        ((4,), (1,), 1),
        ((2,), (2**40,), 0),
        ((1,), (1,), 2**40),
        ((2,), (-1,), 3),
        ((-2,), (1,), 0),
        ((2, 2), (1,), 0),
        ((2**40,), (0,), 0),
        ((2**20,) * 8, (0,) * 8, 0),
        ((1,) * 40, (1,) * 40, 0),
    ],
)
def test_views_beyond_their_storage(tmp_path, write, shape, strides, offset):
    storage = Storage("0", np.zeros(4, np.float32))
    content = write({"a": Tensor(storage, shape, strides, offset)})
    assert error_of(tmp_path, content).startswith("E0401")


@FORMATS
@pytest.mark.parametrize("claimed", [5, 2**40, 2**62, -1])
def test_storages_shorter_than_they_claim(tmp_path, write, claimed):
    storage = Storage("0", np.zeros(4, np.float32), claimed=abs(claimed))
    storage.claimed = claimed if write is zip_format else abs(claimed)
    content = write({"a": Tensor(storage, (5,), (1,))})
    assert error_of(tmp_path, content).startswith("E0401")


@FORMATS
@pytest.mark.parametrize("value", [{}, [1, 2], "text", {"a": 1}, {1: tensor("0", [1.0])}])
def test_no_state_dict(tmp_path, write, value):
    assert "no state dict" in error_of(tmp_path, write(value))


def test_compressed_archives_are_refused(tmp_path):
    bomb = zip_format({"a": tensor("0", np.zeros(1 << 20))}, compression=zipfile.ZIP_DEFLATED)
    assert "not as PyTorch writes them" in error_of(tmp_path, bomb)


def test_what_is_said_of_a_broken_archive_is_short(tmp_path):
    content = bytearray(zip_format({"x": tensor("0", np.ones(400, np.float32))}))
    name = content.index(b"archive/data.pkl")
    content[name - 4 : name - 2] = (2000).to_bytes(2, "little")
    assert len(error_of(tmp_path, bytes(content))) < 300


def test_an_archive_without_a_checkpoint(tmp_path):
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("notes.txt", "no weights")
    with pytest.raises(CnnError, match="without a PyTorch checkpoint"):
        load_weights(tmp_path / "archive.zip")


def archive_with(pickled: bytes, tmp_path: Path) -> bytes:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
    return (tmp_path / "archive.zip").read_bytes()


@pytest.mark.parametrize(
    "pickled",
    [
        b"",
        b".",
        b"0.",
        b"h\x05.",
        b"(K\x01K\x02u.",
        b"\x80\x02}r\xff\xff\xff\xff.",
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x02X\xff\xff\xff\xff.",
        b"S'\\q'\n.",
        b"K\x01)R.",
        b"](l" * 10_000 + b".",
    ],
    ids=range(12),
)
def test_broken_pickles(tmp_path, pickled):
    assert error_of(tmp_path, archive_with(pickled, tmp_path)).startswith("E0401")


@pytest.mark.parametrize("keys", [7, ["0", []], ["2"], [], {"0": 1}])
def test_broken_list_of_legacy_storages(tmp_path, keys):
    content = legacy_format({"a": tensor("0", [1.0])})
    broken = content.replace(pickle.dumps(["0"], 2), pickle.dumps(keys, 2))
    assert broken != content
    assert "list of storages" in error_of(tmp_path, broken)


@pytest.mark.parametrize(
    "pickled",
    [
        b"K\x01" * 2_000_001 + b".",
        b"ctorch\nSize\nq\x00]q\x01(" + b"K\x01" * 9999 + b"e" + b"h\x00h\x01\x85R" * 9999 + b".",
    ],
    ids=["instructions", "copies"],
)
def test_endless_pickles(tmp_path, pickled):
    assert "too long" in error_of(tmp_path, archive_with(pickled, tmp_path))


def test_a_pickle_that_is_no_checkpoint(tmp_path):
    assert "not of PyTorch" in error_of(tmp_path, pickle.dumps({"a": 1}))


@FORMATS
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol(tmp_path, write, protocol):
    assert set(load(tmp_path, write(STATE, protocol=protocol))) == {"a", "b"}


def loads_or_complains(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        arrays = load_weights(path)
    except CnnError:
        return
    assert all(isinstance(array, np.ndarray) for array in arrays.values())


@pytest.mark.parametrize("content", VALID, ids=["zip", "legacy"])
def test_every_truncation_is_an_error(tmp_path, content):
    for length in range(0, len(content), 7):
        assert error_of(tmp_path, content[:length]).startswith("E0401")


@settings(max_examples=300)
@given(
    content=st.sampled_from(VALID),
    edits=st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=6)), max_size=4),
)
def test_mutations_load_or_complain(tmp_path_factory, content, edits):
    mutated = bytearray(content)
    for place, replacement in edits:
        start = place % len(mutated)
        mutated[start : start + len(replacement)] = replacement
    loads_or_complains(tmp_path_factory.getbasetemp() / "mutated.pt", bytes(mutated))


@settings(max_examples=300)
@given(
    head=st.sampled_from([b"PK\x03\x04", VALID[1][:15], VALID[1][:140], b"\x20" + b"\x00" * 7]),
    tail=st.binary(max_size=200),
)
def test_random_bytes_load_or_complain(tmp_path_factory, head, tail):
    loads_or_complains(tmp_path_factory.getbasetemp() / "random.pt", head + tail)


NAMES = ["a.weight", "b"]


@FORMATS
@pytest.mark.parametrize(
    "prefix",
    ["_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "model.", "model._orig_mod.module."],
)
@pytest.mark.parametrize(
    "wrapper", ["", "state_dict", "model", "model_ema", "state_dict_ema", "net"]
)
def test_wrappers_in_any_order(tmp_path, write, prefix, wrapper):
    state = {f"{prefix}{name}": tensor(str(i), [float(i)]) for i, name in enumerate(NAMES)}
    loaded = load(tmp_path, write({wrapper: state, "epoch": 3} if wrapper else state))
    assert {name: array.tolist() for name, array in loaded.items()} == {"a.weight": [0], "b": [1]}
    assert loaded.warnings == ()


@FORMATS
@pytest.mark.parametrize("prefix", ["module.", "module._orig_mod."])
def test_averaged_models(tmp_path, write, prefix):
    """`AveragedModel` has its counter beside the wrapped model, and may be wrapped itself."""
    state = {f"{prefix}{name}": tensor(str(i), [float(i)]) for i, name in enumerate(NAMES)}
    state = {"n_averaged": tensor("9", np.array(7))} | state
    assert list(load(tmp_path, write(state))) == NAMES
    compiled = {f"_orig_mod.{name}": value for name, value in state.items()}
    assert list(load(tmp_path, write({"model_ema": compiled}))) == NAMES
    assert set(load(tmp_path, write({"n_averaged": tensor("9", np.array(7))}))) == {"n_averaged"}


@FORMATS
def test_which_of_several_state_dicts_is_taken_is_told(tmp_path, write):
    last, averaged = {"a": tensor("0", [1.0])}, {"a": tensor("1", [2.0])}
    loaded = load(tmp_path, write({"state_dict_ema": averaged, "state_dict": last, "model": {}}))
    assert loaded["a"].tolist() == [1]
    (warning,) = loaded.warnings
    assert warning.code == "W0207"
    assert "under 'state_dict', which are taken, and 'state_dict_ema'" in warning.message


@FORMATS
def test_tensors_under_any_name_if_there_is_no_other(tmp_path, write):
    state = {"a": tensor("0", [1.0])}
    moments = {"state": {0: {"step": 3}}, "param_groups": []}
    checkpoint = {"checkpoint": {"net": state, "optimizer": moments}, "epoch": 3}
    assert load(tmp_path, write(checkpoint))["a"].tolist() == [1]
    with pytest.raises(CnnError, match=r"E0401.*under 'student' and 'teacher'"):
        load(tmp_path, write({"student": state, "teacher": state}))


def test_one_member_twice_is_refused(tmp_path):
    path = tmp_path / "twice.pth"
    path.write_bytes(zip_format({"x": tensor("0", np.ones(2, np.float32))}))
    with zipfile.ZipFile(path, "a") as archive:
        storage = next(name for name in archive.namelist() if name.endswith("data/0"))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr(storage, np.zeros(2, np.float32).tobytes())
    with pytest.raises(CnnError, match=r"E0401.*one name twice"):
        load_weights(path)

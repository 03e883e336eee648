"""Signatures of artefacts: what is not signed by a trusted key is not opened."""

import os
import sys

import numpy as np
import onnx
import pytest

import cnndsl
from cnndsl.cli.main import main
from cnndsl.diagnostics import CnnError
from cnndsl.runtime import signature
from cnndsl.runtime.backend import backend

# The keys, message and signature are those of RFC 8032, 7.1, test 3, in the PEM of RFC 8410.
PRIVATE = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIMWqjfQ/n4N77bdELzHct7Fm04U1B28JS4XOOi4LRFj3
-----END PRIVATE KEY-----
"""
PUBLIC = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=
-----END PUBLIC KEY-----
"""
MESSAGE = bytes.fromhex("af82")
SIGNATURE = bytes.fromhex(
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)
OTHER = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=
-----END PUBLIC KEY-----
"""  # of test 2
P256 = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""  # the base point of the curve
NET = "network net { input image [3, 8, 8]\n conv(4, 3) -> relu -> global_avgpool -> fc(5) }"
IMAGE = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
SUFFIXES = {"cpu": ".cnnmod", "onnx": ".onnx", "reference": ".cnnref"}


@pytest.fixture
def keys(tmp_path, monkeypatch):
    """Files of keys by name; nothing is trusted by the environment."""
    monkeypatch.delenv(signature.TRUSTED, raising=False)
    monkeypatch.delenv(signature.REQUIRED, raising=False)
    texts = {"private": PRIVATE, "public": PUBLIC, "other": OTHER}
    for name, text in texts.items():
        (tmp_path / f"{name}.pem").write_text(text)
    return {name: tmp_path / f"{name}.pem" for name in texts}


@pytest.fixture
def file(tmp_path, keys):
    """A signed module."""
    return signed(tmp_path / "net.cnnref", "reference", keys)


def signed(path, target, keys, seed=0):
    cnndsl.compile(NET, target, seed=seed).save(path)
    cnndsl.sign(path, keys["private"])
    return path


def refused(path, trust, match):
    with pytest.raises(CnnError, match=match) as error:
        cnndsl.load(path, trust=trust)
    assert [d.code for d in error.value.diagnostics] == ["E0640"]


def test_the_signature_is_that_of_the_rfc(tmp_path, keys):
    path = tmp_path / "message"
    path.write_bytes(MESSAGE)
    place = cnndsl.sign(path, keys["private"])
    assert (place.name, place.read_bytes()) == ("message.sig", SIGNATURE)
    assert signature.Trust([keys["public"]]).read(path) == MESSAGE


@pytest.mark.parametrize("target", SUFFIXES)
def test_what_a_trusted_key_signed_is_loaded(target, tmp_path, keys):
    path = signed(tmp_path / f"net{SUFFIXES[target]}", target, keys)
    trusted = cnndsl.load(path, trust=[str(keys["other"]), keys["public"]])
    np.testing.assert_array_equal(trusted(IMAGE), cnndsl.load(path)(IMAGE))
    refused(path, keys["other"], "not what a trusted key signed")


@pytest.mark.parametrize("target", SUFFIXES)
def test_the_bytes_that_were_verified_are_those_that_run(target, tmp_path, keys, monkeypatch):
    """The file is exchanged as soon as it was read, before the module is made and called."""
    path = signed(tmp_path / f"net{SUFFIXES[target]}", target, keys)
    expected = cnndsl.load(path)(IMAGE)
    stranger = cnndsl.compile(NET, target, seed=1)
    read = signature.Trust.read

    def read_and_swap(self, place):
        content = read(self, place)
        stranger.save(place)
        return content

    monkeypatch.setattr(signature.Trust, "read", read_and_swap)
    module = cnndsl.load(path, trust=keys["public"])
    np.testing.assert_array_equal(module(IMAGE), expected)
    assert not np.array_equal(cnndsl.load(path)(IMAGE), expected)
    again = tmp_path / f"again{SUFFIXES[target]}"
    module.save(again)
    np.testing.assert_array_equal(cnndsl.load(again)(IMAGE), expected)


@pytest.mark.parametrize("target", [*SUFFIXES, "torch"])
def test_backends_ask_before_they_read(target, tmp_path):
    def read(_):
        raise CnnError.of("E0640", "not trusted")

    with pytest.raises(CnnError, match="not trusted"):
        backend(target).load(tmp_path / "missing", None, read)


def test_weights_beside_a_text_of_pytorch_are_verified_too(tmp_path, keys):
    module = cnndsl.compile(NET, "torch", seed=0)
    path = tmp_path / "model.py"
    module.save(path)
    for file in module.files(path):
        cnndsl.sign(file, keys["private"])
    found = cnndsl.load(path, trust=keys["public"])
    assert all(np.array_equal(array, found.arrays[n]) for n, array in module.arrays.items())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")
    refused(path, keys["public"], "model.safetensors is not what a trusted key signed")


def test_any_change_is_noticed(file, keys):
    content = file.read_bytes()
    changed = [content + b"\0", content[:-1], b"\0" + content, b""]
    for place in (*range(0, len(content), 101), len(content) - 1):
        changed.append(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    for other in changed:
        file.write_bytes(other)
        refused(file, keys["public"], "not what a trusted key signed")
    file.write_bytes(content)
    cnndsl.load(file, trust=keys["public"])


def test_a_signature_that_is_none_is_refused(file, keys):
    place = signature.signature_path(file)
    right = place.read_bytes()
    place.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    refused(file, keys["public"], "not what a trusted key signed")
    for wrong in (b"", right[:-1], right + b"\n"):
        place.write_bytes(wrong)
        refused(file, keys["public"], "it has not 64 bytes")
    place.unlink()
    refused(file, keys["public"], "not signed")
    os.mkfifo(place)
    refused(file, keys["public"], "no regular file")


@pytest.mark.parametrize("trust", [False, True, 5, b"public.pem", [None]])
def test_who_is_trusted_is_named_by_files(trust, file):
    with pytest.raises(CnnError, match=r"E0615.*trust is the file of a key"):
        cnndsl.load(file, trust=trust)
    with pytest.raises(CnnError, match="E0601"):
        cnndsl.load(file, trust="a\0b")


def test_the_environment_says_who_is_trusted(file, keys, monkeypatch):
    monkeypatch.setenv(signature.REQUIRED, "1")
    refused(file, None, "no key is trusted")
    refused(file, [], "no key is trusted")
    cnndsl.load(file, trust=keys["public"])
    monkeypatch.setenv(signature.TRUSTED, f"{keys['other']}:{keys['public']}")
    cnndsl.load(file)
    refused(file, keys["other"], "not what a trusted key signed")
    monkeypatch.delenv(signature.REQUIRED)
    cnndsl.load(file)
    monkeypatch.setenv(signature.TRUSTED, str(keys["other"]))
    refused(file, None, "not what a trusted key signed")
    monkeypatch.delenv(signature.TRUSTED)
    signature.signature_path(file).unlink()
    for value in ("", "0"):
        monkeypatch.setenv(signature.REQUIRED, value)
        cnndsl.load(file)
    monkeypatch.setenv(signature.REQUIRED, "yes")
    with pytest.raises(CnnError, match="is 0 or 1, not 'yes'"):
        cnndsl.load(file)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "no public key in PEM"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== me", "no public key in PEM"),
        (PUBLIC.replace("MCow", "MCox"), "no public key in PEM"),
        (PUBLIC[:-40], "no public key in PEM"),
        (P256, "none of Ed25519"),
        (PUBLIC + OTHER, "several keys"),
        (PRIVATE, "a private key"),
        ("x" * 100_000, "over 65536 bytes"),
    ],
)
def test_malformed_keys_are_refused(text, match, file, keys):
    keys["other"].write_text(text)
    for trust in (keys["other"], [keys["public"], keys["other"]]):
        with pytest.raises(CnnError, match=match) as error:
            cnndsl.load(file, trust=trust)
        assert error.value.diagnostics[0].code == "E0641"


def test_keys_that_cannot_sign_are_refused(tmp_path, keys):
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_pem_private_key(PRIVATE.encode(), None)
    locked = form.BestAvailableEncryption(b"secret")
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, locked)
    (tmp_path / "locked.pem").write_bytes(pem)
    for name, match in (
        ("locked", "is encrypted"),
        ("public", "no private key in PEM"),
        ("missing", "cannot read"),
    ):
        with pytest.raises(CnnError, match=match):
            cnndsl.sign(keys["public"], tmp_path / f"{name}.pem")
    with pytest.raises(CnnError, match="no regular file"):
        cnndsl.sign(tmp_path, keys["private"])


def test_tensors_in_other_files_are_refused(tmp_path, keys):
    path = tmp_path / "net.onnx"
    cnndsl.compile(NET, seed=0).save(path)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="rest", size_threshold=0)
    cnndsl.sign(path, keys["private"])
    cnndsl.load(path)
    with pytest.raises(CnnError, match="in another file"):
        cnndsl.load(path, trust=keys["public"])


def test_without_cryptography_nothing_is_trusted(file, keys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(CnnError, match=r"cnndsl\[sign\]"):
        cnndsl.load(file, trust=keys["public"])


def test_the_command_signs_and_trusts(tmp_path, keys, capsys):
    net, image, path = tmp_path / "net.cnn", tmp_path / "x.npy", tmp_path / "net.cnnref"
    net.write_text(NET)
    np.save(image, IMAGE)
    private, public, other = map(str, keys.values())
    compiling = ["compile", str(net), "--seed", "0", "--target", "reference", "-o", str(path)]
    assert main([*compiling, "--sign", private]) == 0
    assert str(path) + ".sig" in capsys.readouterr().out
    running = ["run", str(path), "--input", str(image), "--trust"]
    assert [main([*running, key]) for key in (public, other)] == [0, 2]
    assert main(["inspect", str(path), "--trust", other, "--trust", public]) == 0
    assert main(["run", str(net), "--seed", "0", "--input", str(image), "--trust", public]) == 2
    assert "--trust is for artefacts" in capsys.readouterr().err
    assert main(compiling) == 0, "the signature is an old one now"
    path.write_bytes(path.read_bytes() + b"\0")
    assert main([*running, public]) == 2
    assert main(["sign", str(path), "--key", private]) == 0
    path.with_name("net.cnnref.sig").unlink()
    for missing in ("none.cnnref", "."):
        assert main(["sign", str(path), str(tmp_path / missing), "--key", private]) == 2
    assert not path.with_name("net.cnnref.sig").exists(), "all are looked at first"
    assert main(["sign", str(path), "--key", private]) == 0
    assert main([*compiling, "--sign", public]) == 2


def test_every_verb_that_opens_a_module_asks_whom_it_is_of(file, tmp_path, keys, capsys):
    np.savez(tmp_path / "all.npz", images=np.repeat(IMAGE, 2, 0), labels=np.zeros(2, int))
    parameters = cnndsl.parse(NET).graph.parameters().values()
    np.savez(tmp_path / "w.npz", **{p.name: np.zeros(p.shape, np.float32) for p in parameters})
    page = ["-o", str(tmp_path / "net.html")]
    for command in (
        ["evaluate", str(file), "--images", str(tmp_path / "all.npz")],
        ["view", str(file), *page],
        ["weights", "list", str(file)],
        ["weights", "check", str(file), str(tmp_path / "w.npz")],
    ):
        assert main([*command, "--trust", str(keys["public"])]) == 0
        assert main([*command, "--trust", str(keys["other"])]) == 2
        assert "E0640" in capsys.readouterr().err
    timed = ["view", NET, "--times", str(file), *page, "--trust"]
    for key, said in (("public", "the times of single layers"), ("other", "E0640")):
        assert main([*timed, str(keys[key])]) == 2
        assert said in capsys.readouterr().err
    for command in (["view", NET, *page], ["weights", "list", NET]):
        assert main([*command, "--trust", str(keys["public"])]) == 2
        assert "--trust is for artefacts" in capsys.readouterr().err


def test_processes_judge_by_the_bytes_that_were_verified(file, tmp_path, keys, monkeypatch):
    """Their copies have no signature; the file itself is exchanged before they start."""
    images = np.random.default_rng(1).normal(size=(40, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "all.npz", images=images, labels=np.arange(40) % 5)
    expected = cnndsl.evaluate(file, tmp_path / "all.npz").as_dict()
    monkeypatch.setenv(signature.REQUIRED, "1")
    read = signature.Trust.read

    def read_and_swap(self, place):
        content = read(self, place)
        cnndsl.compile(NET, "reference", seed=1).save(place)
        return content

    monkeypatch.setattr(signature.Trust, "read", read_and_swap)
    found = cnndsl.evaluate(file, tmp_path / "all.npz", jobs=2, trust=keys["public"])
    assert found.as_dict() == expected


def test_a_folder_is_signed_file_by_file(tmp_path, keys):
    net, folder = tmp_path / "net.cnn", tmp_path / "out"
    net.write_text(NET)
    command = ["compile", str(net), "--seed", "0", "--target", "torch", "-o", f"{folder}/"]
    assert main([*command, "--sign", str(keys["private"])]) == 0
    trusted = signature.Trust([keys["public"]])
    names = sorted(path.name for path in folder.iterdir() if path.suffix != ".sig")
    assert names == ["model.py", "model.safetensors"]
    assert all(trusted.read(folder / name) for name in names)

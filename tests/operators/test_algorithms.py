"""Five algorithms for one convolution, matrix forms, and gradients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.ir.operators import Conv
from cnndsl.runtime.module import Array
from tests.operators.algorithms import direct, fft, im2col, separable, winograd
from tests.operators.brute import BRUTE
from tests.operators.gradients import input_gradient, kernel_gradient
from tests.operators.matrix_forms import circulant, doubly_block_circulant


def correlation(image: Array, kernel: Array, stride: tuple[int, ...] = (1,)) -> Array:
    op = Conv(len(kernel), kernel.shape[2:], stride=stride, pad="valid", bias=False)
    return BRUTE[Conv](op, [image], {"weight": kernel})


@settings(max_examples=25)
@given(st.tuples(*[st.integers(1, 3)] * 2), st.tuples(*[st.integers(3, 7)] * 2), st.integers(0, 99))
def test_algorithms_agree(channels: tuple[int, int], size: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    filters, inputs = channels
    image = rng.normal(size=(inputs, *size))
    column, row = rng.normal(size=(2, filters, inputs, 3))
    outer = np.einsum("ilm,iln->ilmn", column, row)
    want = correlation(image, outer)
    for algorithm in (direct, im2col, winograd, fft, separable):
        np.testing.assert_allclose(
            algorithm(image, outer), want, atol=1e-10, err_msg=str(algorithm)
        )
    kernel = rng.normal(size=(filters, inputs, 3, 2))
    for algorithm in (direct, im2col, fft):
        found = algorithm(image, kernel)
        np.testing.assert_allclose(found, correlation(image, kernel), atol=1e-10)


def test_algorithms_refuse_other_kernels() -> None:
    image = np.ones((1, 6, 6))
    with pytest.raises(ValueError, match="3x3"):
        winograd(image, np.ones((1, 1, 3, 2)))
    with pytest.raises(ValueError, match="outer product"):
        separable(image, np.eye(3)[None, None])


def test_circulant_is_full_convolution() -> None:
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=6), rng.normal(size=4)
    found = circulant(w, 6) @ np.pad(x, (0, 3))
    np.testing.assert_allclose(found, np.convolve(x, w), atol=1e-12)


def test_doubly_block_circulant_has_the_spectrum_of_the_kernel() -> None:
    """Its eigenvalues are the kernel's 2-D discrete Fourier transform."""
    rng = np.random.default_rng(2)
    kernel = rng.normal(size=(2, 3))
    matrix = doubly_block_circulant(kernel, (3, 2))
    image = np.zeros((4, 4))
    image[:3, :2] = rng.normal(size=(3, 2))
    spectrum = np.fft.fft2(kernel, (4, 4)) * np.fft.fft2(image)
    found = (matrix @ image.ravel()).reshape(4, 4)
    np.testing.assert_allclose(found, np.fft.ifft2(spectrum).real, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "kernel", "stride"),
    [((11,), (3,), (2,)), ((7, 6), (3, 2), (2, 3)), ((4, 5, 4), (2, 1, 2), (1, 2, 2))],
)
def test_gradients_are_difference_quotients(
    size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    """The loss sum(G * Z) is linear in V and in K, so difference quotients are exact."""
    rng = np.random.default_rng(3)
    image, weight = rng.normal(size=(2, *size)), rng.normal(size=(3, 2, *kernel))
    outer = rng.normal(size=correlation(image, weight, stride).shape)

    def quotients(array: Array) -> Array:
        result = np.zeros(array.shape)
        base = (outer * correlation(image, weight, stride)).sum()
        for index in np.ndindex(*array.shape):
            array[index] += 1
            result[index] = (outer * correlation(image, weight, stride)).sum() - base
            array[index] -= 1
        return result

    found = kernel_gradient(image, outer, kernel, stride)
    np.testing.assert_allclose(found, quotients(weight), atol=1e-9)
    found = input_gradient(outer, weight, size, stride)
    np.testing.assert_allclose(found, quotients(image), atol=1e-9)

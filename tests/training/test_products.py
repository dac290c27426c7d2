"""Products by oneDNN are those of PyTorch, on whatever processor: here it is taken everywhere."""

from __future__ import annotations

import pytest
import torch

from glyphnet.training.fast import layers as products
from glyphnet.training.fast.layers import product

SHAPES = [(32, 784, 128), (784, 50, 784), (300, 1200, 50), (50, 1200, 300), (3, 4, 5)]


@pytest.fixture(autouse=True)
def onednn(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """Take oneDNN wherever it has a call, and note what it was called for."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this PyTorch has no such call")
    monkeypatch.setattr(products, "processor", lambda _: "AuthenticAMD")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True})
    find, called = products._linear, list[torch.Size]()
    find.cache_clear()
    linear = find()
    find.cache_clear()  # other tests find what their processor has
    assert linear is not None

    def noted(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        called.append(x.shape)
        return linear(x, weight, bias)

    monkeypatch.setattr(products, "_linear", lambda: noted)
    return called


def laid_out(rows: int, columns: int, by_column: bool) -> torch.Tensor:
    return torch.randn(columns, rows).t() if by_column else torch.randn(rows, columns)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("by_column", [False, True])
def test_a_product_is_the_same_in_any_order_of_memory(
    shape: tuple[int, int, int], by_column: bool, onednn: list[torch.Size]
) -> None:
    m, k, n = shape
    a, b, bias = laid_out(m, k, by_column), laid_out(k, n, by_column), torch.randn(n)
    wanted = a.double() @ b.double()
    torch.testing.assert_close(product(a, b).double(), wanted, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(product(a, b, bias).double(), wanted + bias, rtol=1e-4, atol=1e-3)
    assert len(onednn) == (2 if 2 * m * k * n >= products.WORTHWHILE else 0)


def test_other_numbers_than_float32_are_pytorchs_own(onednn: list[torch.Size]) -> None:
    a, b = torch.randn(200, 200, dtype=torch.float64), torch.randn(200, 200, dtype=torch.float64)
    assert torch.equal(product(a, b), a @ b)
    assert not onednn

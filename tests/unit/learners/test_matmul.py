"""Products of matrices: gradients, precision."""

import pytest
import torch

from moa.learners.matmul import linear, product


@pytest.mark.parametrize("members", [(), (3,)])
def test_gradients_of_the_products(members):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*members, *shape, dtype=torch.float64, generator=generator).requires_grad_()

    x, weight, bias, length, scale, shift = draw(5, 4), draw(6, 4), draw(6), draw(6, 1), draw(4), draw(4)
    for around in ((), (length,)):
        assert torch.autograd.gradcheck(linear, (x, weight, bias, *around))
    for around in (None, length):
        assert torch.autograd.gradcheck(linear, (x.detach(), weight, bias, around, scale, shift))
    normed = torch._weight_norm(weight.flatten(0, -2), length.flatten(0, -2), 0).view_as(weight)
    expected = (x * scale.unsqueeze(-2) + shift.unsqueeze(-2)) @ normed.mT + bias.unsqueeze(-2)
    torch.testing.assert_close(linear(x.detach(), weight, bias, length, scale, shift), expected)


@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 1091, 300), (70, 333, 206), (256, 100, 5), (3, 4, 5)])
def test_products_in_single_precision(rows, inner, columns):
    generator = torch.Generator().manual_seed(0)
    a, b, bias = (torch.randn(*s, generator=generator) for s in ((rows, inner), (columns, inner), (columns,)))
    expected = (a.double() @ b.double().T + bias).float()
    torch.testing.assert_close(product(a, b, bias), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(product(a.T.contiguous().T, b.T.contiguous().T, bias), expected, rtol=1e-4, atol=1e-4)
    stacked = product(torch.stack([a, -a]), torch.stack([b, b]), torch.stack([bias, -bias]))
    torch.testing.assert_close(stacked, torch.stack([expected, -expected]), rtol=1e-4, atol=1e-4)


BF16 = torch.bfloat16


#: Of a number rounded to bfloat16, which keeps 8 bits.
ROUNDING = 2**-8


@pytest.mark.parametrize("members", [(), (3,)])
def test_a_product_rounds_its_factors_and_sums_in_full(members):
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(*members, rows, 4000, generator=generator) for rows in (20, 30))
    bias = 100 * torch.randn(*members, 30, generator=generator)
    exact = a.to(BF16).double() @ b.to(BF16).double().mT
    found = product(a, b, None, BF16)
    assert found.dtype == torch.float32
    # Sums of 4,000 terms formed in 8 bits would be off by several units, not by the last rounding alone.
    torch.testing.assert_close(found.double(), exact, rtol=ROUNDING, atol=1e-2)
    torch.testing.assert_close(product(a, b, bias, BF16), found + bias.unsqueeze(-2))  # the bias is not rounded
    assert not torch.equal(found, product(a, b))

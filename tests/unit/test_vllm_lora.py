"""Adapters on the CPU: the same numbers as one adapter at a time, and none where none was asked for."""

from __future__ import annotations

import pytest
import torch

from services.vllm_lora import bgmv_expand, bgmv_expand_slice, bgmv_shrink

SLOTS, RANK, WIDE, OUT = 3, 4, 10, 6
torch.manual_seed(0)
A = torch.randn(SLOTS, 1, RANK, WIDE)
B = torch.randn(SLOTS, 1, OUT, RANK)


@pytest.mark.parametrize("indices", [[0, 0, 0, 0], [2, -1, 0, 2], [-1, -1, -1, -1], [1, 1, -1, -1]])
def test_each_row_gets_its_own_adapter_or_none(indices: list[int]) -> None:
    inputs, chosen = torch.randn(4, WIDE), torch.tensor(indices)
    small, output = torch.zeros(4, RANK), torch.ones(4, OUT)
    bgmv_shrink(inputs, A, small, chosen, scaling=2.0)
    bgmv_expand(small, B, output, chosen)
    for row, index in enumerate(indices):
        delta = 2.0 * B[index, 0] @ (A[index, 0] @ inputs[row]) if index >= 0 else torch.zeros(OUT)
        assert torch.allclose(output[row], 1 + delta, atol=1e-5)


def test_a_slice_of_the_output_changes_and_the_rest_does_not() -> None:
    small, output = torch.randn(2, RANK), torch.ones(2, 12)
    bgmv_expand_slice(small, B, output, torch.tensor([1, 1]), 3, OUT)
    assert torch.allclose(output[:, 3:9], 1 + small @ B[1, 0].T, atol=1e-5)
    assert (output[:, :3] == 1).all() and (output[:, 9:] == 1).all()


def test_half_precision_stays_what_it_is() -> None:
    output = torch.zeros(2, OUT, dtype=torch.bfloat16)
    bgmv_expand(torch.randn(2, RANK), B.bfloat16(), output, torch.tensor([0, 2]), add_inputs=False)
    assert output.dtype == torch.bfloat16 and output.abs().max() > 0

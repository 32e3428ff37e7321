"""Adapters on vLLM's CPU backend, one matrix product per adapter. Runs inside vLLM's worker.

vLLM 0.32 gathers a copy of the adapter for every token of a batch, which made a prompt of 600 tokens take
13.9 s with an adapter and 1.4 s without (Qwen2.5-0.5B, rank 16, two cores); like this it takes 1.7 s. Its
gather also reads the index -1, "no adapter", as the last slot, so that requests for the base model were
answered by whatever adapter lay there when both kinds shared a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import torch

Rows = torch.Tensor | slice


def bgmv_shrink(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    scaling: float = 1.0,
) -> None:
    """output[row] = scaling · A[adapter of row] · input[row]"""
    for index, rows in _by_adapter(lora_indices_tensor):
        made = _product(inputs[rows], lora_b_weights[index])
        output_tensor[rows, : made.shape[1]] = scaling * made.to(output_tensor.dtype)


def bgmv_expand(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    add_inputs: bool = True,
) -> None:
    """output[row] += B[adapter of row] · input[row]"""
    width = output_tensor.shape[1]
    bgmv_expand_slice(inputs, lora_b_weights, output_tensor, lora_indices_tensor, 0, width, add_inputs)


def bgmv_expand_slice(
    inputs: torch.Tensor,
    lora_b_weights: torch.Tensor,
    output_tensor: torch.Tensor,
    lora_indices_tensor: torch.Tensor,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = True,
) -> None:
    """The same for some columns of the output, which vLLM may have padded differently from B."""
    for index, rows in _by_adapter(lora_indices_tensor):
        made = _product(inputs[rows], lora_b_weights[index])[:, :slice_size].to(output_tensor.dtype)
        columns = slice(slice_offset, slice_offset + made.shape[1])
        output_tensor[rows, columns] = output_tensor[rows, columns] + made if add_inputs else made


def _product(inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    weights = weights.squeeze(0) if weights.dim() == 3 else weights
    return torch.nn.functional.linear(inputs.to(weights.dtype), weights)


def _by_adapter(indices: torch.Tensor) -> Iterator[tuple[int, Rows]]:
    """Yield each adapter of a batch and its rows; rows without one (-1) are left as they are."""
    adapters = torch.unique(indices).tolist()
    if len(adapters) == 1 and adapters[0] >= 0:
        yield adapters[0], slice(None)
        return
    for index in adapters:
        if index >= 0:
            yield index, (indices == index).nonzero().squeeze(1)


def install() -> None:
    """Put these functions in place of vLLM's, where it defines them and where it has imported them."""
    from vllm.lora.ops.torch_ops import lora_ops
    from vllm.lora.punica_wrapper import punica_cpu

    for function in (bgmv_shrink, bgmv_expand, bgmv_expand_slice):
        for module in (lora_ops, punica_cpu):
            setattr(module, function.__name__, function)


def keep_to_cpu() -> None:
    """Let layers in eight bits have adapters: vLLM asks their weights where they lie, and oneDNN has taken
    them away to pack them. On this worker everything lies in one place."""
    from vllm.lora.layers import base_linear, utils

    for module in (base_linear, utils):
        vars(module)["_get_lora_device"] = lambda base_layer: torch.device("cpu")


class LoraByAdapter:
    """What `--worker-extension-cls` names, so that every worker imports this module."""


if find_spec("vllm"):
    install()
    keep_to_cpu()

"""A curriculum becomes a LoRA adapter, with TRL and PEFT."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from peft import LoraConfig, PeftModel, prepare_model_for_kbit_training
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.utils.logging import disable_progress_bar
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from kiban.backends import together, training
from kiban.backends.checkpoints import Checkpoints, KeepCheckpoints
from kiban.backends.meter import Meter
from kiban.backends.training import Log, Tell
from kiban.domain.learning import Curriculum, TrainingExample, Weights
from kiban.errors import BadWeights, CutShort, NothingToLearn, SettingsError, TooFewExamples
from kiban.ports import Progress

IGNORED = -100  # the label of a token that is not learnt
KEPT = ("adapter_model.safetensors", "adapter_config.json")  # what a server loads, and nothing else


@dataclass(frozen=True, slots=True)
class TrlTrainer:
    """Trains plain or rank-stabilised LoRA (arXiv 2106.09685, 2312.03732) on all linear layers, alpha = 2 r.

    Only the completion is learnt. The prompt is rendered by the chat template in the base's folder, which
    is the one the server uses. Equal inputs on an equal machine give equal weights, however often training
    was killed on the way: it goes on from its newest checkpoint in `out`.
    """

    base: Path
    base_name: str  # written into the adapter instead of a path that exists on one machine only
    rank: int = 16
    epochs: int = 1
    device: str = "cpu"  # "cpu" or "cuda"
    seed: int = 17
    learning_rate: float = 4e-4
    batch: int = 4  # examples per step; on a CPU they pass one after the other
    max_length: int = 2048  # tokens; the longest row decides up to here
    rank_stabilised: bool = False
    four_bits: bool = False  # hold the base in four bits, on a GPU (QLoRA, arXiv 2305.14314)
    begin: Path | None = None  # an adapter to go on from, of the same rank; None: a new one
    checkpoint_every: int = 10  # steps; what a kill loses at most
    log: Log | None = None
    spent: Tell | None = None

    def train(self, curriculum: Curriculum, out: Path, progress: Progress) -> Weights:
        """Write the adapter to `out` and name it by its content.

        Raises MixedAudience, TooFewExamples, CutShort and NothingToLearn before anything is learnt, and
        BadWeights if the base cannot be read.
        """
        curriculum.require_one_audience()
        if not curriculum.examples:
            raise TooFewExamples("The curriculum is empty.")
        set_seed(self.seed)
        disable_progress_bars()  # `progress` tells it all
        disable_progress_bar()  # type: ignore[no-untyped-call]
        model, tokenizer = load_base(self.base, self.device, four_bits=self.four_bits)
        length = longest(curriculum.examples, tokenizer, self.max_length)
        checkpoints = Checkpoints(out, (curriculum.sha256, replace(self, log=None, spent=None)))
        meter = Meter(self.device, checkpoints.spent)
        trainer = _CompletionTrainer(
            model=go_on_from(model, self.begin, self.base) if self.begin else model,
            args=self._arguments(checkpoints.folder, length),
            train_dataset=Dataset.from_list([_row(example) for example in curriculum.examples]),
            processing_class=tokenizer,
            peft_config=None if self.begin else lora(self.rank, stabilised=self.rank_stabilised),
            callbacks=[KeepCheckpoints(checkpoints, meter), Reporter(progress, self.log)],
        )
        _require_labels(trainer, len(curriculum.examples))
        training.carry_through(trainer, checkpoints, meter, self.spent)
        return keep_files(trainer, checkpoints, out, self.base_name)

    def _arguments(self, checkpoints: Path, max_length: int) -> SFTConfig:
        on_cpu, batch = self.device == "cpu", together.share(self.batch)
        return SFTConfig(
            completion_only_loss=True,
            max_length=max_length,
            num_train_epochs=self.epochs,
            per_device_train_batch_size=1 if on_cpu else batch,
            gradient_accumulation_steps=batch if on_cpu else 1,
            ddp_backend="gloo" if on_cpu and together.processes() > 1 else None,
            learning_rate=self.learning_rate,
            lr_scheduler_type="cosine",
            max_grad_norm=1.0,
            activation_checkpointing=False,
            bf16=False,  # the base is loaded in its number format; the adapter stays in fp32
            include_num_input_tokens_seen="all",
            **training.arguments(
                checkpoints, device=self.device, seed=self.seed, checkpoint_every=self.checkpoint_every
            ),
        )


def lora(rank: int, *, stabilised: bool = False) -> LoraConfig:
    return LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        use_rslora=stabilised,
        task_type="CAUSAL_LM",
    )


def go_on_from(model: PreTrainedModel, adapter: Path, base: Path) -> PeftModel:
    """Return the model with an adapter that learns on."""
    begun = PeftModel.from_pretrained(model, adapter, is_trainable=True)
    # PEFT would look up the adapter's name for its base on a hub when saving.
    begun.peft_config["default"].base_model_name_or_path = str(base)
    return begun


def keep_files(trainer: Trainer, checkpoints: Checkpoints, out: Path, base_name: str) -> Weights:
    """Keep what a server loads, under names that mean the same on every machine."""
    staging = checkpoints.folder / "last"
    trainer.save_model(str(staging))
    together.wait()
    if together.first():
        for name in KEPT:
            (staging / name).replace(out / name)
        keep_adapter(out, base_name)
    checkpoints.remove()
    return Weights.of(out)


def load_base(
    base: Path, device: str, *, four_bits: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the model in a folder, and its tokenizer, never from anywhere else.

    Raises BadWeights; SettingsError for four bits without a GPU or without bitsandbytes.
    """
    rounded = {"quantization_config": _four_bits(device)} if four_bits else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            base,
            dtype=number_format(device),
            attn_implementation="sdpa",
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            **rounded,
        )
    except (OSError, ValueError) as error:
        raise BadWeights(f"{base}: {error}", mend="kiban models fetch") from error
    if four_bits:
        model = prepare_model_for_kbit_training(model)  # type: ignore[no-untyped-call]
    return model, tokenizer


def _four_bits(device: str) -> BitsAndBytesConfig:
    if device == "cpu" or find_spec("bitsandbytes") is None:
        raise SettingsError(
            "four_bits needs a GPU and bitsandbytes.", mend="pip install bitsandbytes, or four_bits = false"
        )
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=number_format(device),
    )


def keep_adapter(out: Path, base_name: str) -> None:
    """Write an adapter's settings in the one form that means the same on every machine."""
    config = out / "adapter_config.json"
    content = json.loads(config.read_text())
    content["base_model_name_or_path"] = base_name
    content["target_modules"] = sorted(content["target_modules"])
    config.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def number_format(device: str) -> torch.dtype:
    """Return bfloat16 where the processor multiplies it, else float32."""
    if device != "cpu":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    multiplies = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if multiplies else torch.float32


def _row(example: TrainingExample) -> dict[str, list[dict[str, str]]]:
    """Render an example as TRL's conversational prompt-completion row."""
    return {
        "prompt": [{"role": turn.role, "content": turn.text} for turn in example.prompt],
        "completion": [{"role": "assistant", "content": example.target}],
    }


def longest(examples: Sequence[TrainingExample], tokenizer: PreTrainedTokenizerBase, at_most: int) -> int:
    """Return the length of the longest row in tokens.

    Raises CutShort for a row above `at_most`, and NothingToLearn for one whose completion the chat template
    leaves out; both name the first such row.
    """
    lengths = []
    for number, example in enumerate(examples):
        row = _row(example)
        shown = len(
            tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=False)
        )
        whole = len(tokenizer.apply_chat_template(row["prompt"] + row["completion"], return_dict=False))
        if whole > at_most:
            raise CutShort(
                f"{_named(number, example)}: {whole} tokens of at most {at_most}.",
                mend="show fewer passages per question",
            )
        if whole <= shown:
            raise NothingToLearn(f"{_named(number, example)}.", mend="check the chat template")
        lengths.append(whole)
    return max(lengths)


def _named(number: int, example: TrainingExample) -> str:
    return f"Row {number}, made from {example.question.lineage.uri}"


def _require_labels(trainer: SFTTrainer, rows: int) -> None:
    """TRL drops rows whose every label is masked without a word: refuse what `longest` could not foresee."""
    prepared = trainer.train_dataset
    assert isinstance(prepared, Dataset)
    learnt = sum(any(label != IGNORED for label in labels) for labels in prepared["labels"])
    if learnt < rows:
        raise NothingToLearn(
            f"{rows - learnt} of {rows} rows.", mend="check the chat template and the length limit"
        )


class _CompletionTrainer(SFTTrainer):
    """TRL's trainer with the model's own loss, computed where something is learnt and nowhere else.

    TRL's loss kernel does its sums in float32 and over the weights of the output layer, which are frozen
    here: on a CPU that was half of every step (measured, Qwen2.5-0.5B, 500 tokens).
    """

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        kept = learnt_positions(inputs["labels"])
        inputs = {**inputs, "labels": inputs["labels"][:, kept], "logits_to_keep": kept, "use_cache": False}
        return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)


def learnt_positions(labels: torch.Tensor) -> torch.Tensor:
    """Return the positions from the one that predicts the first label of a batch on.

    A tensor, not a slice: it selects contiguous rows, without which the output layer is copied each time.
    """
    first = int((labels != IGNORED).any(dim=0).nonzero()[0])
    return torch.arange(max(first - 1, 0), labels.shape[1], device=labels.device)


class Reporter(TrainerCallback):
    """Passes steps on as progress, and losses as measures."""

    def __init__(self, progress: Progress, log: Log | None) -> None:
        self.progress = progress
        self.log = log
        self.started = time.monotonic()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.started = time.monotonic()
        self.progress(state.global_step, state.max_steps, "training the adapter")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.progress(state.global_step, state.max_steps, "training the adapter")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if self.log and logs:
            measures = {name: float(value) for name, value in logs.items()}
            self.log(state.global_step, measures | {"seconds": time.monotonic() - self.started})

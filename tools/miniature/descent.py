"""Gradient descent as all stages of the training do it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

Report = Callable[[str], None]
_WARM_UP = 100


@dataclass(frozen=True)
class Plan:
    """How long and how fast a stage learns."""

    steps: int
    batch: int
    rate: float


def descend(
    parameters: Sequence[nn.Parameter], loss: Callable[[], torch.Tensor], plan: Plan, report: Report
) -> None:
    """AdamW with a linear warm-up and a cosine to zero; matrices decay, vectors do not."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.02},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98))
    total = 0.0
    for step in range(plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * _pace(step, plan.steps)
        optimizer.zero_grad()
        value = loss()
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        total += float(value.detach())
        if (step + 1) % 100 == 0:
            report(f"step {step + 1} of {plan.steps}, loss {total / 100:.3f}")
            total = 0.0


def _pace(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / _WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))

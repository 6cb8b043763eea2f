"""Evaluate retrieval after every epoch of a Hugging Face Trainer.

    trainer = Trainer(model=model, ..., callbacks=[RetrievalCallback(make_scorer, "msrvtt", videos=..., ...)])

`make_scorer` turns the model being trained into a scorer, as `AsScorer` of train_pytorch.py does. The numbers
stand in the trainer's log history as `t2v_R@1` and so on.
"""

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

import xbench
from xbench.scorers.base import Scorer


class RetrievalCallback(TrainerCallback):
    """Runs xbench at the end of each epoch; `options` are those of `xbench.run`.

    Evaluate on a validation set: a checkpoint chosen by its test numbers makes them too good.
    """

    def __init__(self, make_scorer: Callable[[Any], Scorer], dataset: str, **options: Any) -> None:
        self.make_scorer, self.dataset, self.options = make_scorer, dataset, options
        self.results: list[xbench.Result] = []

    def on_epoch_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **others: Any,
    ) -> None:
        training = model.training
        model.eval()
        result = xbench.run(self.make_scorer(model), self.dataset, **self.options)
        model.train(training)
        self.results.append(result)
        row = {"epoch": state.epoch, "step": state.global_step}
        for side, metrics in result.metrics.items():
            row |= {f"{side}_{name}": metric.value for name, metric in metrics.items()}
        state.log_history.append(row)

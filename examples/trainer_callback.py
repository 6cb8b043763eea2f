"""Evaluate retrieval whenever a Hugging Face Trainer evaluates, and choose the best checkpoint by it.

    arguments = TrainingArguments(..., eval_strategy="epoch", save_strategy="epoch",
                                  load_best_model_at_end=True, metric_for_best_model="eval_xbench_t2v_R@1")
    trainer = Trainer(model=model, args=arguments, ...)
    trainer.add_callback(RetrievalCallback(trainer, make_scorer, "msrvtt", videos=..., protocol=...))

`make_scorer` turns the model being trained into a scorer, as `AsScorer` of train_pytorch.py does. The numbers
go through the Trainer's log, so that TensorBoard and the like show them beside the loss.
"""

from collections.abc import Callable
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

import xbench
from xbench.scorers.base import Scorer


class RetrievalCallback(TrainerCallback):
    """Runs xbench after each evaluation; `options` are those of `xbench.run`.

    Evaluate on a validation set: a checkpoint chosen by its test numbers makes them too good.
    """

    def __init__(
        self, trainer: Trainer, make_scorer: Callable[[Any], Scorer], dataset: str, **options: Any
    ) -> None:
        self.trainer, self.make_scorer, self.dataset, self.options = trainer, make_scorer, dataset, options
        self.results: list[xbench.Result] = []

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        metrics: dict[str, float] | None = None,
        **others: Any,
    ) -> None:
        training = model.training
        model.eval()
        result = xbench.run(self.make_scorer(model), self.dataset, **self.options)
        model.train(training)
        self.results.append(result)
        measured = {
            f"eval_xbench_{side}_{name}": metric.value
            for side, of_side in result.metrics.items()
            for name, metric in of_side.items()
        }
        if metrics is not None:
            metrics.update(measured)  # the Trainer looks for metric_for_best_model here
        self.trainer.log(measured)

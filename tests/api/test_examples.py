"""The examples of a training loop run as they stand, on a small set of videos."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from tests.pipeline.conftest import World, small_checkpoint, world

__all__ = ["small_checkpoint", "world"]  # fixtures

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def data(world: World) -> dict[str, Any]:
    return {"annotations": world.annotations, "videos": world.videos, "cache_dir": world.cache}


def test_a_plain_loop_evaluates_its_model_after_every_epoch(world: World) -> None:
    results = load("train_pytorch").main(epochs=2, dataset="didemo", miniature=False, **data(world))
    assert [result.record.scorer.settings["epoch"] for result in results] == [0, 1]
    assert all(result.record.queries == {"t2v": 6, "v2t": 6} for result in results)
    assert not list(world.cache.rglob("*.safetensors"))


def test_a_trainer_logs_retrieval_and_chooses_its_best_checkpoint_by_it(world: World, tmp_path: Path) -> None:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    toy = load("train_pytorch")

    class Trained(torch.nn.Module):
        """The toy with the loss that a Trainer wants of `forward`."""

        def __init__(self) -> None:
            super().__init__()
            self.retrieval = toy.Retrieval()

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"loss": (self.retrieval.image(x) - labels).square().mean()}

    class Listener(TrainerCallback):
        """Hears what any integration hears, such as the one for TensorBoard."""

        heard: dict[str, float] = {}  # noqa: RUF012

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
            self.heard.update(logs)

    item = {"x": torch.randn(3, toy.SIDE, toy.SIDE), "labels": torch.zeros(16)}
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "trainer"),
        num_train_epochs=2,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="eval_xbench_t2v_R@1",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    model, listener = Trained(), Listener()
    trainer = Trainer(
        model=model, args=arguments, train_dataset=[item] * 4, eval_dataset=[item], callbacks=[listener]
    )
    callback = load("trainer_callback").RetrievalCallback(
        trainer, lambda trained: toy.AsScorer(trained.retrieval, 0), "didemo", **data(world)
    )
    trainer.add_callback(callback)
    trainer.train()
    recalls = [result.metrics["t2v"]["R@1"].value for result in callback.results]
    assert len(recalls) == 2
    assert trainer.state.best_metric == max(recalls)
    assert trainer.state.best_model_checkpoint is not None
    logged = [row["eval_xbench_t2v_R@1"] for row in trainer.state.log_history if "eval_xbench_t2v_R@1" in row]
    assert logged == recalls
    assert listener.heard["eval_xbench_v2t_MnR"] == callback.results[-1].metrics["v2t"]["MnR"].value

"""The examples of a training loop run as they stand, on a small set of videos."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

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


def test_a_trainer_callback_logs_the_metrics_and_leaves_the_model_in_training(world: World) -> None:
    from transformers import TrainerControl, TrainerState

    toy = load("train_pytorch")
    callback = load("trainer_callback").RetrievalCallback(
        lambda model: toy.AsScorer(model, 0), "didemo", **data(world)
    )
    model, state = toy.Retrieval().train(), TrainerState(epoch=1.0, global_step=7)
    callback.on_epoch_end(None, state, TrainerControl(), model=model)
    assert model.training
    assert state.log_history[-1]["step"] == 7
    assert state.log_history[-1]["t2v_R@10"] == 100
    assert len(callback.results) == 1

import hashlib

import numpy as np
import pytest
import torch

from engine.backbones.torchvision_import import import_torchvision
from engine.errors import WeightsError
from engine.training import checkpoint
from engine.training.data import Example
from engine.training.loop import train
from engine.training.models import full_weights
from engine.training.predict import load_predictor
from engine.training.recipes import RECIPES, get_recipe
from tests.pictures import KENNEL


class Watch:
    """Remembers what it is told, and stops the training where it is asked to."""

    def __init__(self, stop_after=None):
        self.said, self.measured = [], []
        self._stop_after = stop_after

    def phase(self, name, done, total):
        self.last = (name, done, total)

    def metric(self, name, value, step, epoch=None):
        self.measured.append((name, step, value))

    def say(self, message):
        self.said.append(message)
        if self._stop_after and message.startswith(f"epoch {self._stop_after}/"):
            self._stop_after = "now"

    def check(self):
        if self._stop_after == "now":
            raise KeyboardInterrupt


def examples(dogs, numbers):
    return [
        Example(path, label, hashlib.sha256(path.read_bytes()).hexdigest())
        for label, breed in enumerate(KENNEL)
        for path in (dogs / breed / f"{n:03d}.jpg" for n in numbers)
    ]


@pytest.fixture
def run(dogs, backbones, tmp_path):
    def run(name, watch=None, epochs=6, recipe="quick", training=range(10), **more):
        return train(
            get_recipe(recipe, epochs=epochs),
            KENNEL,
            examples(dogs, training),
            examples(dogs, range(10, 12)),
            folder=tmp_path / name,
            cache=backbones,
            seed=42,
            watch=watch or Watch(),
            **more,
        )

    return run


def weights(path):
    return checkpoint.load(path)["model"]


def test_training_learns_and_the_best_epoch_predicts(run, dogs, backbones, tmp_path):
    watch = Watch()
    trained = run("a", watch, epochs=15)
    assert trained.val_accuracy >= 0.75
    losses = [value for name, _, value in watch.measured if name == "train_loss"]
    assert losses[-1] < losses[0] / 2
    predictor = load_predictor(tmp_path / "a", backbones)
    test = examples(dogs, range(12, 16))
    probabilities = predictor.predict([e.path for e in test])
    assert probabilities.shape == (16, 4)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert np.mean(probabilities.argmax(1) == [e.label for e in test]) >= 0.6
    label, probability, ms = predictor.predict_one(test[0].path)
    assert label == KENNEL[probabilities[0].argmax()]
    assert probability == pytest.approx(probabilities[0].max(), abs=1e-4)
    assert ms > 0


def test_a_run_that_was_stopped_and_resumed_gives_the_same_weights(run, tmp_path):
    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("broken", Watch(stop_after=3))
    watch = Watch()
    resumed = run("broken", watch)
    assert "going on after epoch 3" in watch.said
    assert not any(said.startswith("epoch 3/") for said in watch.said)
    for name, value in weights(tmp_path / "whole" / "last.pt").items():
        assert torch.equal(value, weights(tmp_path / "broken" / "last.pt")[name])
    assert (resumed.best_epoch, resumed.val_accuracy) == (whole.best_epoch, whole.val_accuracy)


def test_a_damaged_checkpoint_is_passed_over_and_said(run, tmp_path):
    run("a", epochs=2)
    (tmp_path / "a" / "last.pt").write_bytes(b"\x80 not a checkpoint")
    watch = Watch()
    assert run("a", watch, epochs=2).epochs == 2
    assert "last.pt is damaged and was passed over" in watch.said


def test_a_checkpoint_of_another_run_is_not_gone_on_with(run):
    run("a", epochs=2)
    watch = Watch()
    run("a", watch, epochs=3)
    assert any("another run" in said for said in watch.said)


def test_a_checkpoint_cannot_run_code(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    (tmp_path / "last.pt").write_bytes(pickle.dumps(Evil()))
    assert checkpoint.load(tmp_path / "last.pt") is None
    torch.save({"a": Evil()}, tmp_path / "last.pt")
    assert checkpoint.load(tmp_path / "last.pt") is None
    assert not (tmp_path / "pwned").exists()


@pytest.fixture
def mobilenet(tmp_path):
    """A state dict of the article's architecture; random, as torchvision's own cannot be downloaded in a test."""
    import_torchvision()
    from torchvision.models import mobilenet_v3_small

    torch.manual_seed(0)
    path = tmp_path / "weights.pth"
    torch.save(mobilenet_v3_small(weights=None).state_dict(), path)
    return path


def test_the_articles_recipe_trains_every_weight_from_a_given_file(run, mobilenet, tmp_path):
    watch = Watch()
    trained = run("a", watch, epochs=1, recipe="article", training=range(4), weights=mobilenet)
    assert trained.model == "mobilenet_v3_small"
    assert trained.weights == "file weights.pth"
    before, after = torch.load(mobilenet), weights(tmp_path / "a" / "last.pt")
    assert not torch.equal(before["features.0.0.weight"], after["features.0.0.weight"])
    assert after["classifier.3.weight"].shape == (4, 1024)


def test_the_articles_settings_are_the_articles():
    recipe = RECIPES["article"]
    assert (recipe.backbone, recipe.epochs, recipe.batch_size) == ("mobilenet_v3_small", 8, 64)
    assert (recipe.learning_rate, recipe.weight_decay) == (3e-4, 1e-4)


def test_weights_that_cannot_be_had_are_an_error_and_never_replaced(tmp_path, monkeypatch):
    recipe = RECIPES["article"]
    with pytest.raises(WeightsError, match=r"nothing\.pth: no such file"):
        full_weights(recipe, tmp_path, tmp_path / "nothing.pth")

    def offline(url, **_):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(WeightsError, match=r"cannot be downloaded \(no network\).*--weights.*--recipe quick"):
        full_weights(recipe, tmp_path, None)


def test_weights_that_do_not_fit_are_refused(run, tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"x": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"other\.pth: no weights of mobilenet_v3_small"):
        run("a", epochs=1, recipe="article", weights=path)

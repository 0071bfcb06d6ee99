import hashlib
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.backbones.images import READING
from engine.backbones.torchvision_import import import_torchvision
from engine.errors import InputError, JobError, WeightsError
from engine.training import checkpoint, loop
from engine.training.data import Example
from engine.training.device import pick_runtime
from engine.training.loop import train
from engine.training.models import check_weights
from engine.training.pictures import Form, Pack
from engine.training.predict import load_predictor
from engine.training.recipes import Phase, Recipe, get_recipe, recipes
from engine.training.step import rate_factor, step
from tests.pictures import KENNEL

BLOCKS = Recipe(
    name="blocks",
    about="two phases",
    backbones=("efficientnet-lite0",),
    head="imagenet",
    mirror=True,
    phases=(
        Phase(train="head", epochs=2, batch_size=16, learning_rate=1e-3),
        Phase(train="blocks", blocks=1, epochs=2, batch_size=16, learning_rate=1e-4, warmup=0.1),
    ),
)


class Stop(BaseException):
    pass


class Watch:
    """Remembers what it is told, and stops the training after so many steps."""

    def __init__(self, stop_after=None):
        self.said, self.measured, self.phases, self.judged, self.stages = [], [], [], [], []
        self._left = stop_after

    def stage(self, name):
        self.stages.append(name)

    def phase(self, name, done, total):
        self.phases.append((name, done, total))

    def metric(self, name, value, step, epoch=None):
        self.measured.append((name, step, value))

    def say(self, message, level="info"):
        self.said.append(message)

    def validated(self, judged):
        self.judged = judged

    def check(self):
        if self._left is None or not any("epoch" in name for name, _, _ in self.phases[-1:]):
            return
        self._left -= 1
        if self._left < 0:
            raise Stop


def example(path, label, number=0):
    data = path.read_bytes()
    return Example(path, label, hashlib.sha256(data).hexdigest(), len(data), number)


def examples(dogs, numbers, start=0):
    return [
        example(path, label, start + 100 * label + n)
        for label, breed in enumerate(KENNEL)
        for n, path in ((n, dogs / breed / f"{n:03d}.jpg") for n in numbers)
    ]


@pytest.fixture
def run(dogs, backbones, tmp_path):
    def run(name, watch=None, epochs=None, recipe="quick", training=range(10), **more):
        return train(
            recipe if isinstance(recipe, Recipe) else get_recipe(recipe, epochs=epochs),
            KENNEL,
            more.pop("examples", None) or examples(dogs, training),
            examples(dogs, range(10, 12)),
            folder=tmp_path / name,
            cache=more.pop("cache", backbones),
            seed=42,
            watch=watch or Watch(),
            device="cpu",
            **more,
        )

    return run


def test_time_without_features_is_not_the_time_of_a_first_run(run, backbones, tmp_path):
    """The second run of the same pictures finds their features in the cache, and says so; a resumed one is a first."""
    cache = tmp_path / "cache"
    shutil.copytree(backbones / "backbones", cache / "backbones")
    first, watch = run("first", epochs=2, cache=cache), Watch()
    assert (first.from_cache, first.images_per_second) == (0.0, pytest.approx(2 * 40 / first.seconds, rel=0.2))
    again = run("again", watch, epochs=2, cache=cache)
    assert again.from_cache == 1.0
    rates = [value for name, _, value in watch.measured if name == "images_per_second"]
    left = [value for name, _, value in watch.measured if name == "seconds_left"]
    assert max(rates) < 80 / again.seconds * 4 and all(value >= 0 for value in left)
    shutil.rmtree(cache / "features")
    with pytest.raises(Stop):
        run("stopped", Watch(stop_after=60), epochs=60, cache=cache)
    assert run("stopped", epochs=60, cache=cache).from_cache == 0.0


def weights(path):
    return checkpoint.load(path)["model"]


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_what_was_trained_on_pictures_as_another_version_saw_them(run, backbones, tmp_path, monkeypatch):
    """A run that was cut off starts anew, and a model says it, for its features are not those of today."""
    run("a", epochs=1)
    said = []
    load_predictor(tmp_path / "a", backbones, lambda message, _: said.append(message))
    assert said == []
    for module in ("training.loop", "training.predict", "backbones.backbone"):
        monkeypatch.setattr(f"engine.{module}.READING", READING + 1)
    load_predictor(tmp_path / "a", backbones, lambda message, _: said.append(message))
    assert len(said) == 1 and "train again if the dataset has such pictures" in said[0]
    watch = Watch()
    run("a", watch, epochs=1)
    assert "last.pt is of another run (reading) and was passed over" in watch.said
    assert any(name == "train_loss" for name, _, _ in watch.measured)


def test_training_learns_and_the_best_epoch_predicts(run, dogs, backbones, tmp_path):
    watch = Watch()
    trained = run("a", watch, epochs=15)
    assert trained.val_accuracy >= 0.75
    losses = [value for name, _, value in watch.measured if name == "train_loss"]
    assert losses[-1] < 0.7 * losses[0]
    assert {"loss", "accuracy", "learning_rate", "images_per_second", "memory_mb", "seconds_left"} <= {
        name for name, _, _ in watch.measured
    }
    assert set(trained.seconds_to_accuracy) == {level for level in loop.LEVELS if level <= trained.val_accuracy}
    assert [j.image for j in watch.judged] == [e.id for e in examples(dogs, range(10, 12))]
    predictor = load_predictor(tmp_path / "a", backbones)
    validation = predictor.predict([e.path for e in examples(dogs, range(10, 12))])
    np.testing.assert_allclose(validation.max(1), [j.probability for j in watch.judged], atol=1e-4)
    test = examples(dogs, range(12, 16))
    probabilities = predictor.predict([e.path for e in test])
    assert probabilities.shape == (16, 4)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert np.mean(probabilities.argmax(1) == [e.label for e in test]) >= 0.6
    label, probability, ms = predictor.predict_one(test[0].path)
    assert label == KENNEL[probabilities[0].argmax()]
    assert probability == pytest.approx(probabilities[0].max(), abs=1e-4)
    assert ms > 0


@pytest.mark.parametrize("stop_after", [1, 5, 7, 11])
def test_a_run_that_was_stopped_at_any_step_and_resumed_gives_the_same_weights(run, tmp_path, stop_after):
    whole = run("whole", recipe=BLOCKS)
    with pytest.raises(Stop):
        run("broken", Watch(stop_after), recipe=BLOCKS)
    watch = Watch()
    resumed = run("broken", watch, recipe=BLOCKS)
    assert any("going on after step" in said for said in watch.said)
    assert same(weights(tmp_path / "whole" / "best-0.pt"), weights(tmp_path / "broken" / "best-0.pt"))
    assert (resumed.best_epochs, resumed.val_accuracy) == (whole.best_epochs, whole.val_accuracy)


def test_a_recipe_of_several_backbones_averages_their_answers(run, dogs, backbones, tmp_path):
    two = BLOCKS.model_copy(
        update={"backbones": ("efficientnet-lite0", "efficientnet-lite1"), "phases": BLOCKS.phases[:1]}
    )
    trained = run("a", recipe=two)
    assert [origin.backbone for origin in trained.origins] == list(two.backbones)
    predictor = load_predictor(tmp_path / "a", backbones)
    paths = [e.path for e in examples(dogs, range(12, 14))]
    one, other = ([m.picture(p) for p in paths] for m in predictor.members)
    expected = (predictor.members[0].predict(np.stack(one)) + predictor.members[1].predict(np.stack(other))) / 2
    np.testing.assert_allclose(predictor.predict(paths), expected, atol=1e-5)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(run, tmp_path):
    with pytest.raises(Stop):
        run("a", Watch(7), recipe=BLOCKS)
    (tmp_path / "a" / "last.pt").write_bytes(b"\x80 not a checkpoint")
    watch = Watch()
    run("a", watch, recipe=BLOCKS)
    run("whole", recipe=BLOCKS)
    assert "last.pt is damaged and was passed over" in watch.said
    assert any("going on after" in said for said in watch.said)
    assert same(weights(tmp_path / "whole" / "best-0.pt"), weights(tmp_path / "a" / "best-0.pt"))


def test_where_both_are_damaged_it_starts_again(run, tmp_path):
    run("a", epochs=2)
    for name in ("last.pt", "last.before.pt"):
        (tmp_path / "a" / name).write_bytes(b"PK damaged")
    watch = Watch()
    run("a", watch, epochs=2)
    assert not any("going on" in said for said in watch.said)


def test_a_damaged_best_epoch_falls_back_or_says_so(run, backbones, tmp_path):
    run("a", epochs=12)
    (tmp_path / "a" / "best-0.pt").write_bytes(b"")
    said = []
    if (tmp_path / "a" / "best-0.before.pt").exists():
        load_predictor(tmp_path / "a", backbones, lambda message, level: said.append((message, level)))
        assert said == [("best-0.pt is damaged; the best before it is used", "warning")]
    (tmp_path / "a" / "best-0.before.pt").write_bytes(b"")
    with pytest.raises(JobError, match="no checkpoint that can be read"):
        load_predictor(tmp_path / "a", backbones)


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


def test_a_full_disk_ends_with_the_cure_and_keeps_what_was_saved(run, tmp_path, monkeypatch):
    import errno

    with pytest.raises(Stop):
        run("a", Watch(3), recipe=BLOCKS)
    kept = (tmp_path / "a" / "last.pt").read_bytes()

    def full(path, state):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", full)
        with pytest.raises(InputError, match=r"no space left.*Make room, then resume"):
            run("a", recipe=BLOCKS)
    assert (tmp_path / "a" / "last.pt").read_bytes() == kept
    run("a", recipe=BLOCKS)


def test_a_loss_that_is_no_number_stops_and_resumes_before_it_at_half_the_rate(run, monkeypatch, tmp_path):
    real, calls = loop.step, []

    def sometimes(model, *arguments, **options):
        calls.append(1)
        if len(calls) == 5:
            with torch.no_grad():
                model.last.weight.fill_(math.nan)
        return real(model, *arguments, **options)

    monkeypatch.setattr(loop, "step", sometimes)
    with pytest.raises(JobError, match=r"The loss is nan\. It was in step 2 of epoch 2.*Resume .* half the learning"):
        run("a", recipe=BLOCKS)
    assert checkpoint.load(tmp_path / "a" / "last.pt")["state"]["slower"] == 0.5
    watch = Watch()
    run("a", watch, recipe=BLOCKS)
    assert all(torch.isfinite(value).all() for value in weights(tmp_path / "a" / "best-0.pt").values())
    rates = [value for name, _, value in watch.measured if name == "learning_rate"]
    assert max(rates) <= 0.5e-3


def test_a_batch_that_does_not_fit_is_taken_in_parts_with_the_same_step(monkeypatch):
    torch.manual_seed(0)
    runtime = pick_runtime("cpu")
    inputs, truths = torch.randn(8, 6), torch.randint(0, 3, (8,))

    class Small(torch.nn.Linear):
        room = 8

        def forward(self, some):
            if len(some) > self.room:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
            return super().forward(some)

    results = []
    for room in (8, 3):
        torch.manual_seed(1)
        model = Small(6, 3)
        model.room = room
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        took = step(model, optimizer, runtime.scaler(), runtime, inputs, truths, smoothing=0.1, part=8)
        results.append((took, model.weight.detach().clone()))
    (whole, a), (halved, b) = results
    assert (whole.part, halved.part) == (8, 2)
    assert halved.loss == pytest.approx(whole.loss, rel=1e-5)
    assert halved.right == whole.right
    torch.testing.assert_close(a, b)
    model.room = 0
    with pytest.raises(RuntimeError, match="can't allocate"):
        step(model, optimizer, runtime.scaler(), runtime, inputs, truths, smoothing=0, part=8)


def test_learning_rates_warm_up_and_fall_along_a_cosine():
    phase = Phase(train="head", epochs=1, learning_rate=1, warmup=0.2)
    assert [round(rate_factor(phase, done), 4) for done in (0, 0.1, 0.2, 0.6, 1)] == [0, 0.5, 1, 0.5, 0]


def test_a_label_without_training_images_is_said(run, dogs):
    watch = Watch()
    run("a", watch, epochs=1, examples=[e for e in examples(dogs, range(6)) if e.label != 2])
    assert any("1 label has no training image" in said and KENNEL[2] in said for said in watch.said)


def test_no_training_images_at_all_is_refused(run, dogs, backbones, tmp_path):
    with pytest.raises(InputError, match="no training"):
        train(
            get_recipe("quick"), KENNEL, [], [], folder=tmp_path, cache=backbones, seed=1, watch=Watch(), device="cpu"
        )


def test_a_device_that_is_not_there_is_refused():
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match=r"no device 'cuda' here.*cpu"):
            pick_runtime("cuda")


@pytest.fixture
def mobilenet(tmp_path):
    """A state dict of the article's architecture; random, as torchvision's own cannot be downloaded in a test."""
    import_torchvision()
    from torchvision.models import mobilenet_v3_small

    torch.manual_seed(0)
    path = tmp_path / "weights.pth"
    torch.save(mobilenet_v3_small(weights=None).state_dict(), path)
    return path


def test_the_articles_recipe_trains_every_weight_and_resumes_at_any_step(run, mobilenet, dogs, backbones, tmp_path):
    small = get_recipe("article").model_copy(
        update={"phases": (Phase(train="all", epochs=2, batch_size=8, learning_rate=3e-4, weight_decay=1e-4),)}
    )
    options = {"recipe": small, "training": range(4), "weights": mobilenet, "cache": tmp_path / "cache"}
    trained = run("a", **options)
    assert trained.origins[0].backbone == "mobilenet_v3_small"
    assert "weights.pth" in trained.origins[0].weights
    with pytest.raises(Stop):
        run("b", Watch(3), **options)
    run("b", **options)
    after = weights(tmp_path / "a" / "best-0.pt")
    assert same(after, weights(tmp_path / "b" / "best-0.pt"))
    before = torch.load(mobilenet)
    assert not any(torch.equal(before["features.0.0.weight"], value) for value in after.values())
    predictor = load_predictor(tmp_path / "a", backbones)
    assert predictor.predict([e.path for e in examples(dogs, [12])]).shape == (4, 4)


def test_recipes_are_readable_files_with_the_articles_own_settings():
    assert list(recipes()) == ["quick", "article", "best"]
    (phase,) = recipes()["article"].phases
    assert (phase.epochs, phase.batch_size, phase.learning_rate, phase.weight_decay) == (8, 64, 3e-4, 1e-4)
    assert recipes()["article"].backbones == ("mobilenet_v3_small",)
    with pytest.raises(InputError, match="quick, article, best"):
        get_recipe("slow")
    assert {p.epochs for p in get_recipe("best", epochs=7).phases} == {7}


@pytest.mark.parametrize("name", ["article", "best"])
def test_weights_that_are_not_there_are_refused(name, tmp_path):
    with pytest.raises((WeightsError, InputError)):
        check_weights(get_recipe(name), tmp_path, tmp_path / "nothing.pth")


def test_pictures_are_decoded_once_and_shared(dogs, tmp_path):
    some = examples(dogs, range(3))
    pack = Pack(some, Form(64), tmp_path)
    seen = []
    assert pack.fill(lambda done, total: seen.append((done, total)))
    assert seen == [(12, 12)]
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.npy")}
    again = Pack(some, Form(64), tmp_path)
    assert again.fill(lambda done, total: None)
    assert files == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.npy")}
    picture = again[5]
    assert min(picture.shape[:2]) == 64
    np.testing.assert_array_equal(picture, Form(64).of(some[5].path))
    for file in files:
        file.unlink()  # it is mapped: another file takes its name
        file.write_bytes(b"damaged")
    np.testing.assert_array_equal(Pack(some, Form(64), tmp_path)[5], picture)


def test_a_picture_that_has_changed_is_not_decoded(dogs, tmp_path):
    one = replace(examples(dogs, [0])[0], path=tmp_path / "0.jpg")
    one.path.write_bytes(examples(dogs, [1])[0].path.read_bytes())
    for decode in (
        one.read,
        lambda: Pack([one], Form(64), tmp_path)[0],
        lambda: Pack([one], Form(64), tmp_path).fill(None),
    ):
        with pytest.raises(InputError, match=r"0\.jpg: has changed since the dataset was added"):
            decode()


def test_a_full_disk_leaves_pictures_to_be_decoded_each_time(dogs, tmp_path, monkeypatch):
    import errno

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Pack, "_write", full)
    some = examples(dogs, range(2))
    pack = Pack(some, Form(256, 224), tmp_path)
    assert not pack.fill(lambda done, total: None)
    assert pack[0].shape == (224, 224, 3)


def test_the_whole_dataset_is_evaluated_as_the_article_does(dogs):
    from PIL import Image

    path = examples(dogs, [0])[0].path
    with Image.open(path) as image:
        width, height = image.size
    form = Form(256, 224).of(path)
    assert form.shape == (224, 224, 3)
    assert min(width, height) != 256 or (form == np.asarray(Image.open(path).convert("RGB"))[16:240, 16:240]).all()

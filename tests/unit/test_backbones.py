"""Backbones: the same answers as torch, whole or cut; networks to train; pictures of every kind."""

import io
import subprocess
import sys
import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from engine.backbones import load_backbone, match_imagenet, pixels, tail_module, whole_module
from engine.backbones.labels import imagenet_classes
from engine.backbones.lite import packaged_lite
from engine.backbones.torchvision_models import torchvision_names, torchvision_network
from engine.errors import InputError, WeightsError


@pytest.fixture(scope="module")
def backbone(backbones):
    return load_backbone(backbones / "backbones")


@pytest.fixture(scope="module")
def pictures(dogs):
    return np.stack([pixels(path) for path in sorted(dogs.rglob("*.jpg"))[:5]])


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory):
    """A file of weights of torchvision's smallest network; they are random, but not so small that all is zero."""
    torch.manual_seed(0)
    network = torchvision_network("mobilenet_v3_small", None)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
    path = tmp_path_factory.mktemp("given") / "mobilenet.pth"
    torch.save(network.state_dict(), path)
    return path, network


def test_onnx_gives_what_torch_gives(backbone, pictures):
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(packaged_lite("efficientnet-lite0").path, weights_only=True))
    network.eval()
    with torch.inference_mode():
        batch = torch.from_numpy((pictures[:1].astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)
        expected = network(batch).numpy()
    found = backbone.logits(backbone.features(pictures[:1]))
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_many_give_what_each_would_alone_on_any_number_of_threads(backbone, backbones, pictures):
    together = backbone.features(pictures)
    assert (together.shape, together.dtype) == ((5, 1280), np.float32)
    for threads in (1, 3):
        same = load_backbone(backbones / "backbones", threads=threads)
        np.testing.assert_allclose(same.features(list(pictures)), together, atol=1e-4)
        np.testing.assert_allclose(np.concatenate([same.features(p[None]) for p in pictures]), together, atol=1e-4)
    assert backbone.features(pictures[:0]).shape == (0, 1280)


def test_mirrored_is_of_the_mirror_image(backbone, pictures):
    np.testing.assert_allclose(
        backbone.features(pictures, mirrored=True), backbone.features(pictures[:, :, ::-1]), atol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "cut", "shape"), [("efficientnet-lite0", 3, (192, 7, 7)), ("efficientnet-lite2", 2, (208, 9, 9))]
)
def test_the_tail_takes_up_where_the_backbone_is_cut(name, cut, shape, backbones, dogs):
    whole, frozen = (load_backbone(backbones / "backbones", name, cut=n) for n in (0, cut))
    pictures = np.stack([pixels(path, whole.size) for path in sorted(dogs.rglob("*.jpg"))[:3]])
    maps = frozen.features(pictures)
    assert (frozen.shape, maps.shape, maps.dtype) == (shape, (3, *shape), np.float16)
    assert (whole.width, frozen.width) == (1280, 1280)
    assert whole.identity != frozen.identity
    tail = tail_module(name, cut).to(memory_format=torch.channels_last)
    expected = whole.features(pictures)
    with torch.inference_mode():
        found = tail(torch.from_numpy(maps).float().contiguous(memory_format=torch.channels_last))
    np.testing.assert_allclose(found, expected, atol=0.01)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            tail, (torch.zeros(2, *shape),), file, input_names=["maps"], output_names=["features"],
            dynamic_axes={"maps": {0: "n"}, "features": {0: "n"}}, dynamo=False,
        )  # fmt: skip
    (exported,) = onnxruntime.InferenceSession(file.getvalue()).run(None, {"maps": maps.astype(np.float32)})
    np.testing.assert_allclose(exported, expected, atol=0.01)


def test_all_of_a_tail_learns():
    tail = tail_module("efficientnet-lite0", 2).train()
    tail(torch.randn(2, 192, 7, 7)).sum().backward()
    assert all(parameter.grad is not None for parameter in tail.parameters())
    assert isinstance(tail_module("efficientnet-lite0", 0), torch.nn.Identity)


def test_networks_that_cannot_be_cut_like_that():
    with pytest.raises(InputError, match="has 16 blocks, not 17"):
        tail_module("efficientnet-lite0", 17)
    with pytest.raises(InputError, match="resnet18 cannot be cut"):
        tail_module("resnet18", 1)


@pytest.mark.parametrize("name", ["resnet51", "squeezenet1_0", "../x", "quantized_resnet18"])
def test_a_name_that_is_no_backbones(name, tmp_path):
    with pytest.raises(WeightsError, match=rf"There is no backbone '{name}'.*efficientnet-lite2.*torchvision"):
        load_backbone(tmp_path, name)


def test_torchvision_gives_its_last_matrix_and_what_comes_before(mobilenet, tmp_path, pictures):
    path, network = mobilenet
    backbone = load_backbone(tmp_path, "mobilenet_v3_small", weights=path)
    assert (backbone.shape, backbone.size, backbone.source) == ((1024,), 224, "file mobilenet.pth")
    batch = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        expected = network((batch - mean.view(3, 1, 1)) / std.view(3, 1, 1)).numpy()
    found = backbone.logits(backbone.features(pictures))
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_a_second_load_needs_no_torch_and_says_the_same(mobilenet, tmp_path, backbone, backbones):
    path, _ = mobilenet
    first = load_backbone(tmp_path, "mobilenet_v3_small", weights=path)
    script = (
        "import sys; from pathlib import Path; from engine.backbones import load_backbone\n"
        "a, b, c = sys.argv[1:]\n"
        "print(load_backbone(Path(a), 'mobilenet_v3_small', weights=Path(b)).identity)\n"
        "print(load_backbone(Path(c)).identity)\n"
        "assert 'torch' not in sys.modules and 'torchvision' not in sys.modules"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, tmp_path, path, backbones / "backbones"], capture_output=True, text=True
    )
    assert found.stderr == ""
    assert found.stdout.split() == [first.identity, backbone.identity]


def test_a_damaged_export_is_made_anew(mobilenet, tmp_path, pictures):
    path, _ = mobilenet
    first = load_backbone(tmp_path, "mobilenet_v3_small", weights=path).features(pictures)
    for kind in ("*.onnx", "*.npz"):
        (file,) = tmp_path.glob(kind)
        file.write_bytes(file.read_bytes()[:1000])
        np.testing.assert_allclose(
            load_backbone(tmp_path, "mobilenet_v3_small", weights=path).features(pictures), first, rtol=1e-4, atol=1e-3
        )


@pytest.mark.parametrize("name", ["efficientnet-lite1", "mobilenet_v3_small"])
def test_a_whole_network_begins_with_all_weights_but_the_last(name, mobilenet, tmp_path):
    path = None if "lite" in name else mobilenet[0]
    network, weights, size = whole_module(name, 7, path, cache=tmp_path, dropout=0.4)
    pretrained = torch.load(weights.path, weights_only=True)
    own = {key.removeprefix("network."): value for key, value in network.state_dict().items()}
    assert own.keys() == pretrained.keys()
    changed = [key for key in own if not torch.equal(own[key], pretrained[key])]
    assert len(changed) == 2 and all(own[key].shape[0] == 7 for key in changed)
    assert {m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)} == {0.4}
    network.train()
    logits = network(torch.randint(256, (2, 3, size, size), dtype=torch.uint8))
    assert logits.shape == (2, 7)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_whole_network_gives_what_its_backbone_gives(backbone, pictures):
    network, weights, _ = whole_module("efficientnet-lite0", 1000)
    assert weights.sha256 == backbone.sha256
    with torch.inference_mode():
        network.network._fc.weight.copy_(torch.from_numpy(backbone.head_weight))
        network.network._fc.bias.copy_(torch.from_numpy(backbone.head_bias))
        found = network(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    np.testing.assert_allclose(found, backbone.logits(backbone.features(pictures)), atol=2e-3)


@pytest.mark.parametrize("name", ["resnet18", "shufflenet_v2_x0_5", "googlenet", "efficientnet_b0"])
def test_networks_of_many_kinds_can_be_trained_whole(name):
    assert name in torchvision_names()
    network, weights, size = whole_module(name, 3, pretrained=False, dropout=0.1)
    assert weights.source == "random"
    network.train()
    assert network(torch.zeros(2, 3, size, size, dtype=torch.uint8)).shape == (2, 3)


def test_labels_are_matched_by_name_disregarding_case_and_punctuation():
    classes = imagenet_classes()
    assert len(classes) == 1000
    found = match_imagenet(["Old English Sheepdog", "german-shepherd", "PUG", "platypus rex"])
    assert [None if i is None else classes[i] for i in found] == [
        "Old English sheepdog", "German shepherd", "pug", None,
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "1"])
def test_every_mode_of_picture_becomes_rgb(mode, tmp_path):
    image = Image.new("RGB", (50, 40), (200, 100, 50))
    image = Image.new("I;16", (50, 40), 30000) if mode == "I;16" else image.convert(mode)
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    image.save(path)
    found = pixels(path)
    assert (found.shape, found.dtype) == ((224, 224, 3), np.uint8)

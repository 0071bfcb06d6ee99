import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from engine.backbones import cached_features, load_backbone, match_imagenet, pixels
from engine.backbones.labels import imagenet_classes
from engine.backbones.lite import packaged_lite


@pytest.fixture(scope="module")
def backbone(backbones):
    return load_backbone(backbones / "backbones")


def test_onnx_gives_what_torch_gives(backbone, dogs):
    from efficientnet_lite_pytorch import EfficientNet

    picture = pixels(sorted(dogs.rglob("*.jpg"))[0])
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(packaged_lite("efficientnet-lite0").path, weights_only=True))
    network.eval()
    with torch.inference_mode():
        batch = torch.from_numpy((picture[None].astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)
        expected = network(batch).numpy()
    found = backbone.logits(backbone.features(picture[None]))
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_labels_are_matched_by_name_disregarding_case_and_punctuation():
    classes = imagenet_classes()
    assert len(classes) == 1000
    found = match_imagenet(["Old English Sheepdog", "german-shepherd", "PUG", "platypus rex"])
    assert [None if i is None else classes[i] for i in found] == [
        "Old English sheepdog", "German shepherd", "pug", None,
    ]  # fmt: skip


def test_features_are_computed_once(backbone, dogs, tmp_path):
    files = sorted(dogs.rglob("*.jpg"))[:5]
    digests = [hashlib.sha256(f.read_bytes()).hexdigest() for f in files]
    first = cached_features(backbone, files, digests, tmp_path)
    assert first.shape == (5, backbone.width)

    def never():
        raise AssertionError("it was looked at again")

    again = cached_features(backbone, [never] * 5, digests, tmp_path)
    np.testing.assert_array_equal(first, again)
    (chunk,) = tmp_path.rglob("*.npy")
    chunk.write_bytes(b"damaged")
    np.testing.assert_allclose(cached_features(backbone, files, digests, tmp_path), first, rtol=1e-5)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "1"])
def test_every_mode_of_picture_becomes_rgb(mode, tmp_path):
    image = Image.new("RGB", (50, 40), (200, 100, 50))
    image = Image.new("I;16", (50, 40), 30000) if mode == "I;16" else image.convert(mode)
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    image.save(path)
    found = pixels(path)
    assert (found.shape, found.dtype) == ((224, 224, 3), np.uint8)

"""Pretrained feature extractors: weights, export to ONNX, inference, cached features.

The only room that both the local CNN and the emulator's brain build on.
"""

from engine.backbones.backbone import Backbone, load_backbone
from engine.backbones.cache import cached_features
from engine.backbones.images import pixels
from engine.backbones.labels import imagenet_classes, match_imagenet

__all__ = ["Backbone", "cached_features", "imagenet_classes", "load_backbone", "match_imagenet", "pixels"]

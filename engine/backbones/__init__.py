"""Pretrained feature extractors: weights, export to ONNX, inference, cached features.

The only room that both the local CNN and the emulator's brain build on.
"""

from engine.backbones.backbone import Backbone, load_backbone
from engine.backbones.cache import Cached, cached_features, cached_views
from engine.backbones.images import pixels
from engine.backbones.labels import imagenet_classes, imagenet_synsets, match_imagenet
from engine.backbones.modules import Whole, tail_module, whole_module
from engine.backbones.weights import Weights

__all__ = [
    "Backbone",
    "Cached",
    "Weights",
    "Whole",
    "cached_features",
    "cached_views",
    "imagenet_classes",
    "imagenet_synsets",
    "load_backbone",
    "match_imagenet",
    "pixels",
    "tail_module",
    "whole_module",
]

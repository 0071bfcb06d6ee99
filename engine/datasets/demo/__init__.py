"""The demo set: dogs that this program draws itself, hard enough to be worth comparing on."""

from engine.datasets.demo.breeds import BREEDS, Breed
from engine.datasets.demo.drawing import SIZE, draw_dog
from engine.datasets.demo.writing import write_demo_set

__all__ = ["BREEDS", "SIZE", "Breed", "draw_dog", "write_demo_set"]

"""The engine of dogcls-tui: datasets, jobs, contestants and their comparison. No screen in here.

These are all the names that the app and the command line use. Importing them loads neither openai nor
azure, torch, pandas nor scikit-learn: the rooms that need those are opened when they are used.
"""

from typing import TYPE_CHECKING

from engine.browsing import Browser
from engine.engine import Engine, at_rest, emulator_command
from engine.errors import (
    ConfigurationError,
    DogclsError,
    InputError,
    JobError,
    NotFoundError,
    PriceError,
    ReadOnlyError,
)
from engine.evaluation.details import confusion_map, disagreements, mistakes, per_class
from engine.evaluation.economics import Economics, break_even, economics
from engine.events import (
    DatasetView,
    ExperimentView,
    ImageView,
    JobDetail,
    JobView,
    LogLine,
    Metric,
    RemoteItem,
    Score,
    StandingCost,
)
from engine.jobs.spec import Parameter, Spec, make_spec, parameters, read_spec
from engine.states import ACTIVE, ENDED, RESUMABLE, ContestantKind, JobKind, JobState, Outcome, Split

if TYPE_CHECKING:
    from engine.datasets.findings import Finding as Finding
    from engine.datasets.thumbnails import Thumbnail as Thumbnail
    from engine.evaluation.comparison import Comparison as Comparison
    from engine.evaluation.comparison import ContestantResult as ContestantResult
    from engine.evaluation.details import Answers as Answers
    from engine.evaluation.details import ConfusionMap as ConfusionMap
    from engine.evaluation.details import ContestantAnswers as ContestantAnswers
    from engine.jobs.outline import Outline as Outline
    from engine.jobs.plan import Plan as Plan
    from engine.jobs.plan import Price as Price
    from engine.jobs.preview import RequestPreview as RequestPreview

__version__ = "0.1.0"

__all__ = [
    "ACTIVE",
    "ENDED",
    "RESUMABLE",
    "Browser",
    "ConfigurationError",
    "ContestantKind",
    "DatasetView",
    "DogclsError",
    "Economics",
    "Engine",
    "ExperimentView",
    "ImageView",
    "InputError",
    "JobDetail",
    "JobError",
    "JobKind",
    "JobState",
    "JobView",
    "LogLine",
    "Metric",
    "NotFoundError",
    "Outcome",
    "Parameter",
    "PriceError",
    "ReadOnlyError",
    "RemoteItem",
    "Score",
    "Spec",
    "Split",
    "StandingCost",
    "at_rest",
    "break_even",
    "confusion_map",
    "disagreements",
    "economics",
    "emulator_command",
    "make_spec",
    "mistakes",
    "parameters",
    "per_class",
    "read_spec",
]

"""The engine of dogcls-tui: datasets, jobs, contestants and their comparison. No screen in here.

These are all the names that the app and the command line use. Importing them loads neither openai nor
azure, torch, pandas nor scikit-learn: the rooms that need those are opened when they are used.
"""

from typing import TYPE_CHECKING

from engine.engine import Engine, at_rest, emulator_command
from engine.errors import ConfigurationError, DogclsError, InputError, JobError, NotFoundError, PriceError
from engine.events import DatasetView, ExperimentView, JobView, LogLine, Metric
from engine.jobs.spec import Spec, make_spec, read_spec
from engine.states import ACTIVE, ENDED, RESUMABLE, ContestantKind, JobKind, JobState, Outcome, Split

if TYPE_CHECKING:
    from engine.evaluation.comparison import Comparison as Comparison
    from engine.evaluation.comparison import ContestantResult as ContestantResult
    from engine.jobs.plan import Plan as Plan
    from engine.jobs.plan import Price as Price

__version__ = "0.1.0"

__all__ = [
    "ACTIVE",
    "ENDED",
    "RESUMABLE",
    "ConfigurationError",
    "ContestantKind",
    "DatasetView",
    "DogclsError",
    "Engine",
    "ExperimentView",
    "InputError",
    "JobError",
    "JobKind",
    "JobState",
    "JobView",
    "LogLine",
    "Metric",
    "NotFoundError",
    "Outcome",
    "PriceError",
    "Spec",
    "Split",
    "at_rest",
    "emulator_command",
    "make_spec",
    "read_spec",
]

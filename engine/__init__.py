"""The engine of dogcls-tui: datasets, jobs, contestants and their comparison. No screen in here.

These are all the names that the app and the command line use. Each is read when it is first asked for
(PEP 562), so that a screen stands before a database or a checker of settings was loaded.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# ONNX Runtime's official builds send usage events to Microsoft and write a device id into the home folder's cache.
# The library reads this when it is loaded, so it is set before anything of this package is imported, in every process.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from engine.about import about as about
    from engine.browsing import Browser as Browser
    from engine.curating import Curating as Curating
    from engine.datasets.export import Exported as Exported
    from engine.datasets.findings import CheckReport as CheckReport
    from engine.datasets.findings import Finding as Finding
    from engine.datasets.image_form import Form as Form
    from engine.datasets.prompt import ARTICLE_PROMPT as ARTICLE_PROMPT
    from engine.datasets.prompt import Prompt as Prompt
    from engine.datasets.thumbnails import Thumbnail as Thumbnail
    from engine.dials import DIALS as DIALS
    from engine.dials import Dial as Dial
    from engine.dials import dial_text as dial_text
    from engine.dials import emulator_patch as emulator_patch
    from engine.emulation import Emulation as Emulation
    from engine.emulation import emulator_command as emulator_command
    from engine.engine import Engine as Engine
    from engine.engine import at_rest as at_rest
    from engine.errors import ConfigurationError as ConfigurationError
    from engine.errors import DogclsError as DogclsError
    from engine.errors import InputError as InputError
    from engine.errors import JobError as JobError
    from engine.errors import NotFoundError as NotFoundError
    from engine.errors import PriceError as PriceError
    from engine.errors import ReadOnlyError as ReadOnlyError
    from engine.errors import UnexpectedError as UnexpectedError
    from engine.evaluation.analysis import Analysis as Analysis
    from engine.evaluation.analysis import ContestantAnalysis as ContestantAnalysis
    from engine.evaluation.baselines import Baseline as Baseline
    from engine.evaluation.comparison import Comparison as Comparison
    from engine.evaluation.comparison import ContestantResult as ContestantResult
    from engine.evaluation.conclusions import said_paired as said_paired
    from engine.evaluation.details import Answers as Answers
    from engine.evaluation.details import ConfusionMap as ConfusionMap
    from engine.evaluation.details import ContestantAnswers as ContestantAnswers
    from engine.evaluation.details import confusion_map as confusion_map
    from engine.evaluation.details import disagreements as disagreements
    from engine.evaluation.details import mistakes as mistakes
    from engine.evaluation.details import per_class as per_class
    from engine.evaluation.differences import PairedDifference as PairedDifference
    from engine.evaluation.economics import Economics as Economics
    from engine.evaluation.economics import Total as Total
    from engine.evaluation.economics import total as total
    from engine.evaluation.findings import Findings as Findings
    from engine.evaluation.frontier import Point as Point
    from engine.evaluation.judging import Judged as Judged
    from engine.evaluation.latency import Figure as Figure
    from engine.evaluation.latency import Latencies as Latencies
    from engine.evaluation.latency import LatencyProfile as LatencyProfile
    from engine.evaluation.latency import Waits as Waits
    from engine.evaluation.measures import MEASURES as MEASURES
    from engine.evaluation.measures import Measure as Measure
    from engine.evaluation.quality import ClassQuality as ClassQuality
    from engine.evaluation.sections import Section as Section
    from engine.evaluation.sections import overloads as overloads
    from engine.evaluation.sections import reading as reading
    from engine.evaluation.terms import Terms as Terms
    from engine.evaluation.volumes import Stretch as Stretch
    from engine.events import Checkup as Checkup
    from engine.events import CurvePoint as CurvePoint
    from engine.events import DatasetView as DatasetView
    from engine.events import EmulatorSettings as EmulatorSettings
    from engine.events import EmulatorView as EmulatorView
    from engine.events import ExperimentView as ExperimentView
    from engine.events import ImageView as ImageView
    from engine.events import JobDetail as JobDetail
    from engine.events import JobView as JobView
    from engine.events import Leftover as Leftover
    from engine.events import LogLine as LogLine
    from engine.events import Metric as Metric
    from engine.events import Payment as Payment
    from engine.events import RecipeView as RecipeView
    from engine.events import RemoteItem as RemoteItem
    from engine.events import Score as Score
    from engine.events import StandingCost as StandingCost
    from engine.events import TrainingView as TrainingView
    from engine.events import WorstPicture as WorstPicture
    from engine.exports import Exports as Exports
    from engine.failures import described as described
    from engine.jobs.again import Again as Again
    from engine.jobs.choices import Choice as Choice
    from engine.jobs.correcting import Correction as Correction
    from engine.jobs.exporting import Order as Order
    from engine.jobs.measuring import Chosen as Chosen
    from engine.jobs.outline import Outline as Outline
    from engine.jobs.outlook import Outlook as Outlook
    from engine.jobs.pilot import PilotCost as PilotCost
    from engine.jobs.pilot import PilotResult as PilotResult
    from engine.jobs.plan import Plan as Plan
    from engine.jobs.plan import Price as Price
    from engine.jobs.predicting import Predicted as Predicted
    from engine.jobs.preview import RequestPreview as RequestPreview
    from engine.jobs.spec import Parameter as Parameter
    from engine.jobs.spec import Spec as Spec
    from engine.jobs.spec import make_spec as make_spec
    from engine.jobs.spec import parameters as parameters
    from engine.jobs.spec import read_spec as read_spec
    from engine.jobs.verifying import Verification as Verification
    from engine.outcomes import RESULT_FORMS as RESULT_FORMS
    from engine.outcomes import Outcomes as Outcomes
    from engine.outcomes import Scoring as Scoring
    from engine.output_files import make_private as make_private
    from engine.output_files import user_rights as user_rights
    from engine.output_files import write_outputs as write_outputs
    from engine.quantities import agrees as agrees
    from engine.quantities import between as between
    from engine.quantities import counted as counted
    from engine.quantities import nouns as nouns
    from engine.quantities import points as points
    from engine.quantities import signed as signed
    from engine.quantities import unsigned as unsigned
    from engine.remote import Remote as Remote
    from engine.secrets import guard_streams as guard_streams
    from engine.secrets import redact as redact
    from engine.states import ACTIVE as ACTIVE
    from engine.states import CANCELLABLE as CANCELLABLE
    from engine.states import ENDED as ENDED
    from engine.states import RESUMABLE as RESUMABLE
    from engine.states import ContestantKind as ContestantKind
    from engine.states import JobKind as JobKind
    from engine.states import JobState as JobState
    from engine.states import Outcome as Outcome
    from engine.states import Split as Split
    from engine.store.files import write_atomic as write_atomic
    from engine.streams import LOOKALIKES as LOOKALIKES
    from engine.streams import escape as escape
    from engine.streams import give_up as give_up
    from engine.streams import is_unicode as is_unicode
    from engine.streams import open_closed as open_closed

__version__ = "0.1.0"

_ROOMS = {
    "about": "about",
    "browsing": "Browser",
    "datasets.export": "Exported",
    "curating": "Curating",
    "datasets.findings": "CheckReport Finding",
    "datasets.image_form": "Form",
    "datasets.prompt": "ARTICLE_PROMPT Prompt",
    "datasets.thumbnails": "Thumbnail",
    "dials": "DIALS Dial dial_text emulator_patch",
    "emulation": "Emulation emulator_command",
    "engine": "Engine at_rest",
    "errors": "ConfigurationError DogclsError InputError JobError NotFoundError PriceError ReadOnlyError"
    " UnexpectedError",
    "failures": "described",
    "evaluation.comparison": "Comparison ContestantResult",
    "evaluation.analysis": "Analysis ContestantAnalysis",
    "evaluation.conclusions": "said_paired",
    "evaluation.differences": "PairedDifference",
    "evaluation.findings": "Findings",
    "evaluation.frontier": "Point",
    "evaluation.latency": "Figure Latencies LatencyProfile Waits",
    "evaluation.baselines": "Baseline",
    "evaluation.judging": "Judged",
    "evaluation.measures": "MEASURES Measure",
    "evaluation.quality": "ClassQuality",
    "evaluation.sections": "Section overloads reading",
    "evaluation.volumes": "Stretch",
    "evaluation.details": "Answers ConfusionMap ContestantAnswers confusion_map disagreements mistakes per_class",
    "evaluation.economics": "Economics Total total",
    "evaluation.terms": "Terms",
    "events": "Checkup CurvePoint DatasetView EmulatorSettings EmulatorView ExperimentView ImageView"
    " JobDetail JobView Leftover LogLine Metric Payment RecipeView RemoteItem Score StandingCost TrainingView"
    " WorstPicture",
    "exports": "Exports",
    "jobs.again": "Again",
    "jobs.correcting": "Correction",
    "jobs.choices": "Choice",
    "jobs.exporting": "Order",
    "jobs.measuring": "Chosen",
    "jobs.outline": "Outline",
    "jobs.outlook": "Outlook",
    "jobs.pilot": "PilotCost PilotResult",
    "jobs.plan": "Plan Price",
    "jobs.predicting": "Predicted",
    "jobs.preview": "RequestPreview",
    "jobs.spec": "Parameter Spec make_spec parameters read_spec",
    "jobs.verifying": "Verification",
    "outcomes": "RESULT_FORMS Outcomes Scoring",
    "quantities": "agrees between counted nouns points signed unsigned",
    "remote": "Remote",
    "secrets": "guard_streams redact",
    "states": "ACTIVE CANCELLABLE ENDED RESUMABLE ContestantKind JobKind JobState Outcome Split",
    "output_files": "make_private user_rights write_outputs",
    "store.files": "write_atomic",
    "streams": "LOOKALIKES escape give_up is_unicode open_closed",
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    found = getattr(import_module(f"engine.{_ROOM_OF[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOM_OF})

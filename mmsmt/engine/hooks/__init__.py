"""Hooks, registered as `mmsmt.<name>`; one per file."""

from mmsmt.engine.hooks.anomaly import AnomalyHook
from mmsmt.engine.hooks.checkpoint import AtomicCheckpointHook
from mmsmt.engine.hooks.deploy import DeployHook
from mmsmt.engine.hooks.drawn_predictions import DrawnPredictionsHook
from mmsmt.engine.hooks.early_stopping import ResumableEarlyStoppingHook
from mmsmt.engine.hooks.epoch_seed import EpochSeedHook
from mmsmt.engine.hooks.exported import ExportedModelHook
from mmsmt.engine.hooks.missed_validation import MissedValidationHook
from mmsmt.engine.hooks.progress_bar import ProgressBarHook
from mmsmt.engine.hooks.shared_statistics import SharedStatisticsHook
from mmsmt.engine.hooks.skipped_samples import SkippedSamplesHook
from mmsmt.engine.hooks.start_summary import StartSummaryHook
from mmsmt.engine.hooks.strict_load import StrictLoadHook

__all__ = [
    'AnomalyHook',
    'AtomicCheckpointHook',
    'DeployHook',
    'DrawnPredictionsHook',
    'EpochSeedHook',
    'ExportedModelHook',
    'MissedValidationHook',
    'ProgressBarHook',
    'ResumableEarlyStoppingHook',
    'SharedStatisticsHook',
    'SkippedSamplesHook',
    'StartSummaryHook',
    'StrictLoadHook',
]

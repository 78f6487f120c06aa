"""Hooks and launching that mmengine lacks."""

from mmsmt.engine.amp import CpuAmpOptimWrapper
from mmsmt.engine.anomalies import AnomalyError, AnomalyHook
from mmsmt.engine.bad_data import SkippedSamplesHook
from mmsmt.engine.deploying import DeployHook
from mmsmt.engine.launch import UsageError, apply_test_options, apply_train_options, load_config
from mmsmt.engine.layer_decay import LayerDecayOptimWrapperConstructor
from mmsmt.engine.loading import StrictLoadHook, install_safe_loading
from mmsmt.engine.missed_validation import MissedValidationHook
from mmsmt.engine.models import build_instance_tta
from mmsmt.engine.progress import ProgressBarHook
from mmsmt.engine.saving import AtomicCheckpointHook
from mmsmt.engine.seeding import EpochSeedHook
from mmsmt.engine.sharding import ShardedAmpOptimWrapper, ShardedOptimWrapper
from mmsmt.engine.shared_statistics import SharedStatisticsHook

__all__ = [
    'AnomalyError',
    'AnomalyHook',
    'AtomicCheckpointHook',
    'CpuAmpOptimWrapper',
    'DeployHook',
    'EpochSeedHook',
    'LayerDecayOptimWrapperConstructor',
    'MissedValidationHook',
    'ProgressBarHook',
    'ShardedAmpOptimWrapper',
    'ShardedOptimWrapper',
    'SharedStatisticsHook',
    'SkippedSamplesHook',
    'StrictLoadHook',
    'UsageError',
    'apply_test_options',
    'apply_train_options',
    'build_instance_tta',
    'install_safe_loading',
    'load_config',
]

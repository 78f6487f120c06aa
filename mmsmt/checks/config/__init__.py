"""Checks of configs without data and without memory for weights."""

from mmsmt.checks.config.check import check_config, check_loaders, find_configs, require_valid
from mmsmt.checks.config.findings import Finding

__all__ = ['Finding', 'check_config', 'check_loaders', 'find_configs', 'require_valid']

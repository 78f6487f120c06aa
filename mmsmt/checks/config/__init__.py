"""Checks of configs before machines are booked for them: no data, no weights in memory."""

from mmsmt.checks.config.check import check_config, check_loaders, find_configs, require_valid
from mmsmt.checks.config.findings import Finding

__all__ = ['Finding', 'check_config', 'check_loaders', 'find_configs', 'require_valid']

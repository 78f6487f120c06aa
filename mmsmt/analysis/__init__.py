"""Analysis of models and runs: complexity, receptive fields, Grad-CAM, learning curves."""

from mmsmt.analysis.complexity.counter import Complexity, count_complexity
from mmsmt.analysis.runs.comparison import plot_comparison, tabulate_results
from mmsmt.analysis.runs.contact_sheet import contact_sheet
from mmsmt.analysis.runs.curves import plot_curves, read_scalars

__all__ = [
    'Complexity',
    'contact_sheet',
    'count_complexity',
    'plot_comparison',
    'plot_curves',
    'read_scalars',
    'tabulate_results',
]

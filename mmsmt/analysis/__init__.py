"""Looking at runs and networks: curves, contact sheets, counts."""

from mmsmt.analysis.comparison import plot_comparison, tabulate_results
from mmsmt.analysis.complexity import Complexity, count_complexity
from mmsmt.analysis.curves import plot_curves, read_scalars
from mmsmt.analysis.pictures import contact_sheet

__all__ = [
    'Complexity',
    'contact_sheet',
    'count_complexity',
    'plot_comparison',
    'plot_curves',
    'read_scalars',
    'tabulate_results',
]

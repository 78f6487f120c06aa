"""Looking at runs and networks: curves and contact sheets."""

from mmsmt.analysis.comparison import plot_comparison, tabulate_results
from mmsmt.analysis.curves import plot_curves, read_scalars
from mmsmt.analysis.pictures import contact_sheet

__all__ = ['contact_sheet', 'plot_comparison', 'plot_curves', 'read_scalars', 'tabulate_results']

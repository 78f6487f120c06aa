"""The notebooks on bundled data run from the first to the last cell."""

import ast
import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1] / 'examples'


def last_value(name: str, folder: Path) -> object:
    """Run a notebook in a folder; a cell that fails raises. What its last cell gives."""
    book = nbformat.read(EXAMPLES / f'{name}.ipynb', 4)
    resources = {'metadata': {'path': str(folder)}}
    NotebookClient(book, timeout=900, kernel_name='python3', resources=resources).execute()
    results = [out for out in book.cells[-1].outputs if out.output_type == 'execute_result']
    return ast.literal_eval(results[-1].data['text/plain'])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and commands of this environment."""
    monkeypatch.setenv('PATH', f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}')
    monkeypatch.setenv('JUPYTER_PREFER_ENV_PATH', '1')  # its python3, not another one's
    return tmp_path


@pytest.mark.slow
def test_classification(folder: Path) -> None:
    label, score = last_value('classification', folder)
    assert label == 3 and score > 0.5


@pytest.mark.slow
def test_segmentation(folder: Path) -> None:
    pixels = last_value('segmentation', folder)
    assert sum(pixels.values()) == 160 * 160 and len(pixels) > 1


@pytest.mark.parametrize('book', sorted(EXAMPLES.glob('*.ipynb')), ids=lambda book: book.stem)
def test_notebooks_are_stored_without_results(book: Path) -> None:
    cells = [c for c in nbformat.read(book, 4).cells if c.cell_type == 'code']
    assert cells and not any(cell.outputs or cell.execution_count for cell in cells)

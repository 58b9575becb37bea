"""A fixed picture feature for the retrieval measure: nothing in it is learned, so nothing in it has
seen the data.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE_PX = 64
CELL_PX = 8
BINS = 8


def feature(picture: Image.Image) -> np.ndarray:
    """Describes a picture by where its edges run and what colours it has where: float32, shape
    (704,), unit length.

    The object is found as what differs from the border's median colour, cut out as a square, scaled
    to 64 px and put on white. Then two parts of equal length are joined: histograms of gradient
    directions over 8 signed bins in 8x8 cells (after Dalal and Triggs 2005), and the mean colour of
    the same cells.
    """
    pixels = _object(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255)
    edges = _edges(pixels.mean(axis=2))
    cells = SIDE_PX // CELL_PX
    colours = 1 - pixels.reshape(cells, CELL_PX, cells, CELL_PX, 3).mean(axis=(1, 3)).reshape(-1)
    joined = np.concatenate([_unit(edges), _unit(colours)])
    return _unit(joined).astype(np.float32)


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / max(1e-6, float(np.linalg.norm(vector))))


def _object(pixels: np.ndarray) -> np.ndarray:
    rim = max(1, pixels.shape[0] // 64)  # decoders are least exact there
    pixels = pixels[rim:-rim, rim:-rim]
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    background = np.median(border, axis=0)
    mask = np.abs(pixels - background).max(axis=2) > 0.15
    # A row or column counts from a fiftieth on: single stray pixels must not move the frame.
    rows = np.flatnonzero(mask.mean(axis=1) > 0.02)
    columns = np.flatnonzero(mask.mean(axis=0) > 0.02)
    if len(rows) < 4 or len(columns) < 4:
        return np.ones((SIDE_PX, SIDE_PX, 3), dtype=np.float32)
    cut = np.where(mask[..., None], pixels, 1)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    side = max(cut.shape[:2])
    square = np.ones((side, side, 3), dtype=np.float32)
    top, left = (side - cut.shape[0]) // 2, (side - cut.shape[1]) // 2
    square[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    image = Image.fromarray((square * 255).astype(np.uint8)).resize(
        (SIDE_PX, SIDE_PX), Image.Resampling.BOX
    )
    return np.asarray(image, dtype=np.float32) / 255


def _edges(grey: np.ndarray) -> np.ndarray:
    down, across = np.gradient(grey)
    size = np.hypot(down, across)
    bins = ((np.arctan2(down, across) + np.pi) / (2 * np.pi) * BINS).astype(int) % BINS
    cells = SIDE_PX // CELL_PX
    histogram = np.zeros((cells, cells, BINS))
    rows, columns = np.indices(grey.shape) // CELL_PX
    np.add.at(histogram, (rows, columns, bins), size)
    return np.sqrt(histogram).reshape(-1)


def retrieve(query: np.ndarray, gallery: np.ndarray, labels: list[str], *, count: int) -> list[str]:
    """The `count` labels nearest to a feature, best first, each label once, by cosine.

    `query`: shape (d,); `gallery`: shape (n, d), row i shows `labels[i]`; several rows may show one
    label.
    """
    found: list[str] = []
    for i in np.argsort(-(gallery @ query), kind="stable"):
        if labels[i] not in found:
            found.append(labels[i])
            if len(found) == count:
                break
    return found

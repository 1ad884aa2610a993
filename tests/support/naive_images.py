"""The plain way to draw a row: group its features by pixel with pandas. Reference of the tests and of the benchmark."""

import numpy as np
import pandas as pd


def naive_images(values, rows, cols, shape):
    """Images of shape (rows, 3, height, width), one at a time: mean, min and max per pixel, 0 elsewhere."""
    images = np.zeros((len(values), 3, *shape))
    for image, row in zip(images, values, strict=True):
        table = pd.DataFrame({"row": rows, "col": cols, "value": row})
        grouped = table.groupby(["row", "col"])["value"].agg(["mean", "min", "max"])
        at = (grouped.index.get_level_values("row"), grouped.index.get_level_values("col"))
        for channel, name in zip(image, ["mean", "min", "max"], strict=True):
            channel[at] = grouped[name]
    return images

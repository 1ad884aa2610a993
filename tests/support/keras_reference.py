"""A small two-heads network trained by Keras itself, with whose losses the test of the learner compares ours.

``keras_reference.json`` was written by ``python tests/support/keras_reference.py`` with tensorflow-cpu 2.15.1, which
is not needed to run the tests. Rows are not shuffled and nothing is dropped out, so that both sides do the same
arithmetic. The last batch of the 97 training rows is a single row.
"""

import json
from pathlib import Path

import numpy as np

PATH = Path(__file__).with_suffix(".json")
FIRST, SECOND, TARGETS, WIDTH, BOTTLENECK = 20, 8, 6, 16, 5
TRAIN, VALID, BATCH, EPOCHS, LR, LOOP_LR, LOOP_EPOCHS = 97, 60, 32, 60, 5e-3, 0.1, 5
HALF = WIDTH // 2
# Block, what it reads, and its dense layers: name in our state dict, name of the batch norm before it, activation.
BLOCKS = {
    "out1": (["first"], [("out1.2", "out1.0", WIDTH, "elu"), ("out1.5", "out1.4", HALF, "elu")]),
    "a1": (["out1", "second"], [("a1.2", "a1.0", WIDTH, "relu")]),
    "a2": (["out1", "second", "a1"], [("a2.1", "a2.0", WIDTH, "elu"), ("a2.4", "a2.3", HALF, "relu")]),
    "a3": (["a1", "a2"], [("a3.1", "a3.0", HALF, "elu")]),
    "a3b": (["a1", "a2", "a3"], [("a3b.1", "a3b.0", HALF, "relu")]),
    "a4": (["out1", "a2", "a3", "a3b"], [("a4.1", "a4.0", HALF, "selu"), ("a4.4", "a4.3", BOTTLENECK, "selu")]),
    "head": (["a4"], [("head.1", "head.0", TARGETS, "sigmoid")]),
}


def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Inputs of both heads and labels, training rows first, and initial weights by the names of our state dict."""
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=(TRAIN + VALID, width)).astype(np.float32) for width in (FIRST, SECOND))
    y = (first[:, :TARGETS] + 0.5 * rng.normal(size=(TRAIN + VALID, TARGETS)) > 1).astype(np.float32)
    widths, weights = {"first": FIRST, "second": SECOND}, {}
    for block, (sources, layers) in BLOCKS.items():
        inputs = sum(widths[source] for source in sources)
        for dense, norm, outputs, _ in layers:
            weights[f"{norm}.weight"] = 1 + 0.1 * rng.normal(size=inputs)
            weights[f"{norm}.bias"] = 0.1 * rng.normal(size=inputs)
            weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"] = np.zeros(inputs), np.ones(inputs)
            weights[f"{dense}.weight"] = rng.normal(size=(outputs, inputs)) / np.sqrt(inputs)
            weights[f"{dense}.bias"] = np.zeros(outputs)
            inputs = widths[block] = outputs
    return first, second, y, {name: value.astype(np.float32) for name, value in weights.items()}


def epoch_left(losses: list[float], patience: int, min_delta: float) -> int:
    """The epoch whose weights Keras's early stopping leaves in the layers: its rules written down once more."""
    best, waited, restored = np.inf, 0, 0
    for epoch, loss in enumerate(losses):
        waited += 1
        if loss + min_delta < best:
            best, waited, restored = loss, 0, epoch
        elif waited >= patience:
            return restored  # it stops training, and only then restores the best weights
    return len(losses) - 1


def main() -> None:
    """Train by Keras and write the losses."""
    import tensorflow as tf
    from tensorflow.keras import callbacks, layers

    first, second, y, weights = problem()
    outputs = {"first": layers.Input((FIRST,)), "second": layers.Input((SECOND,))}
    inputs, start = list(outputs.values()), []
    for block, (sources, dense_layers) in BLOCKS.items():
        parts = [outputs[source] for source in sources]
        x = layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
        for dense, norm, width, activation in dense_layers:
            for layer, name, kinds in (
                (layers.BatchNormalization(), norm, ("weight", "bias", "running_mean", "running_var")),
                (layers.Dense(width, activation), dense, ("weight", "bias")),
            ):
                x = layer(x)
                start.append((layer, [weights[f"{name}.{kind}"].T for kind in kinds]))
        outputs[block] = x
    model = tf.keras.Model(inputs, outputs["head"])
    for layer, values in start:
        layer.set_weights(values)

    train = ([first[:TRAIN], second[:TRAIN]], y[:TRAIN])
    valid = ([first[TRAIN:], second[TRAIN:]], y[TRAIN:])
    options = {"validation_data": valid, "batch_size": BATCH, "shuffle": False, "verbose": 0}
    loss = tf.keras.losses.BinaryCrossentropy(label_smoothing=0.0005)
    model.compile(tf.keras.optimizers.legacy.Adam(LR), loss)
    rules = [
        callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=4),
        callbacks.EarlyStopping(monitor="val_loss", patience=10, min_delta=1e-5, restore_best_weights=True),
    ]
    fitted = model.fit(*train, epochs=EPOCHS, callbacks=rules, **options).history
    model.compile(tf.keras.optimizers.legacy.Adadelta(LOOP_LR), loss)
    looped = model.fit(*valid, epochs=LOOP_EPOCHS, **options).history
    found = {"loss": fitted["loss"], "val_loss": fitted["val_loss"], "lr": fitted["lr"], "looped": looped["val_loss"]}
    found = {name: [round(float(value), 8) for value in values] for name, values in found.items()}
    PATH.write_text(json.dumps({"tensorflow": tf.__version__, **found}, indent=1) + "\n")
    print(len(found["lr"]), sorted(set(found["lr"])))


if __name__ == "__main__":
    main()

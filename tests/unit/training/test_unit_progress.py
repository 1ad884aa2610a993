"""The progress of units: what one bar of all models counts."""

from types import SimpleNamespace

from moa.training.unit_progress import Board, Silent, Watch


class Notes:
    """A bar that keeps what it shows."""

    def __init__(self):
        self.texts = []

    def update(self, done, text="", *others, **options):
        self.texts.append(text)


def test_a_unit_that_begins_twice_was_lost_with_its_worker(capsys):
    bar = Notes()
    board = Board(bar, 0)
    with board.stage("m", "nn", 2, 0) as shown:
        shown.on_start(1, 0)
        shown.on_start(1, 0)
        shown.on_epoch_end(1, 0, 2, 24, {"valid_loss": 0.25})
        shown.on_finished(SimpleNamespace(seed=1, fold=0, best_loss=0.125))
        shown.on_failure(1, 1, "the disk is full")
    texts = " | ".join(bar.texts)
    for part in ("nn seed 1 fold 0 begins", "again, its worker was lost", "epoch 3/24 valid loss 0.25000", "0.12500"):
        assert part in texts
    assert board.units.n_failed == 1 and "m nn:seed=1:fold=1 failed: the disk is full" in " ".join(
        capsys.readouterr().err.split()
    )


def test_other_bars_are_left_out_where_one_shows_all():
    assert (Watch().quiet, Silent().quiet, Board(Notes(), 0).quiet) == (False, True, True)

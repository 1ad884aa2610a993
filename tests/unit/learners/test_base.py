"""What training asks of a learner: a class with ``fit`` and ``predict`` alone has every trait."""

import dataclasses

import numpy as np
import pytest

from moa.data.assay import COMPETITION
from moa.errors import UserError
from moa.learners.base import BatchedLearner, EpochCallback, FitJob, Fitted, JobLearner, Traits, traits
from moa.models.registry import recipes
from support.perceptrons import LEARNERS, make_unit
from support.units import CPU, Recorder


@dataclasses.dataclass(frozen=True)
class Plain:
    """A learner of one's own that states nothing."""

    def fit(self, data, seed, fold, runtime, initial=None, callback=None):
        return Fitted({})

    def predict(self, fitted, X, runtime):
        return np.zeros((len(X), 2), np.float32)


class Stating(Plain):
    parallel = "processes"
    training_options = {"precision"}
    precisions = ["32-true"]


def test_a_class_of_two_methods_has_the_defaults():
    assert traits(Plain()) == Traits() == Traits(parallel="threads", precisions=("auto", "32-true"))
    assert not isinstance(Plain(), BatchedLearner) and isinstance(LEARNERS["simple"], BatchedLearner)


def test_what_a_class_states_counts():
    found = traits(Stating())
    assert (found.parallel, found.training_options, found.precisions) == ("processes", {"precision"}, ("32-true",))
    assert not found.fixed_epochs and not found.checkpoints


def test_an_impossible_trait_is_refused_by_name():
    wrong = type("Wrong", (Plain,), {"parallel": "thread"})
    with pytest.raises(UserError, match="Wrong: parallel: Input should be 'threads' or 'processes'"):
        traits(wrong())


def test_traits_of_the_packages_learners():
    found = {}
    for model in recipes().values():
        for stage in model.stages(model.config, COMPETITION):
            found[type(stage.learner).__name__] = traits(stage.learner)
    assert {name for name, each in found.items() if each.fixed_epochs} == {"MLPLearner"}
    assert {name for name, each in found.items() if each.checkpoints or each.training_options} == {"CNNLearner"}
    assert {name for name, each in found.items() if each.parallel == "processes"} == {"CNNLearner"}
    assert "16-mixed" not in found["MLPLearner"].precisions and "16-mixed" in found["TwoHeadsLearner"].precisions


def test_a_job_holds_the_arguments_of_fit():
    jobs = []

    class Keeping(JobLearner):
        def train(self, job):
            jobs.append(job)
            return Fitted({})

    data, callback, first = make_unit().data, Recorder(), Fitted({})
    Keeping().fit(data, 3, 1, CPU, first, callback)
    Keeping().fit(data, 3, 1, CPU)
    assert jobs[0] == FitJob(data, 3, 1, CPU, first, callback)
    assert jobs[1].initial is None and type(jobs[1].callback) is EpochCallback

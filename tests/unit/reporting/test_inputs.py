"""What is known of a trained model: how its settings differ from the published ones."""

from moa.models.registry import recipe
from moa.reporting.inputs import ModelResult
from moa.weights.records import ManifestRecord

OLD = recipe("simple-nn-old-cv")


def result(settings, **options):
    return ModelResult(OLD.name, OLD.title, OLD, manifest=ManifestRecord(settings=settings), **options)


def test_only_settings_that_differ_are_named_with_their_place():
    published = OLD.config.model_dump(mode="json")
    assert result(published).differences == []
    learner = published["learner"] | {"epochs": 3, "unknown": 1}
    found = result(published | {"learner": learner}).differences
    assert found == [("learner.epochs", 3, published["learner"]["epochs"]), ("learner.unknown", 1, None)]
    lacking = {name: value for name, value in published.items() if name != "learner"}
    assert [each[:2] for each in result(lacking).differences] == [("learner", None)]


def test_without_a_recipe_or_settings_no_difference_is_known():
    assert result(None).differences == [] and ModelResult("other", "Other").differences == []

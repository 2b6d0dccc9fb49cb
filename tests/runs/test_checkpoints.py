"""Which checkpoints stay, and which one is the best."""

from cyclegan_tf.runs.checkpoints import Checkpoints, Position


class Saving:
    """A model that saves a file of a few bytes."""

    def save(self, path):
        path.write_text("a model")


def steps(checkpoints):
    return [position.step for position in checkpoints.positions().values()]


def test_the_newest_and_the_best_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.newest is None and checkpoints.best is None
    for step, score in ((1, 0.5), (2, 0.2), (3, None), (4, 0.4)):
        path = checkpoints.save(Saving(), Position(step, 10, score))
        checkpoints.prune()
        assert checkpoints.newest == path
    assert steps(checkpoints) == [2, 4]
    assert checkpoints.best.name == "step-00000002"


def test_scores_of_another_metric_do_not_count(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints", metric="kid")
    checkpoints.save(Saving(), Position(1, 10, 0.1, "loss"))
    assert checkpoints.best is None
    checkpoints.save(Saving(), Position(2, 10, 0.9, "kid"))
    assert checkpoints.best.name == "step-00000002"

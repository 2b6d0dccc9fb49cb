"""Two stops of the fifty that `make soak` tries of each command."""

import crash_matrix


def test_a_translation_survives_two_stops(tmp_path, capfd):
    command = crash_matrix.COMMANDS["translate"]
    assert crash_matrix.try_signals("translate", command, 2, tmp_path) == 0
    assert "translate | " in capfd.readouterr().out


def test_a_file_that_differs_is_lost(tmp_path, capfd):
    kept = crash_matrix.COMMANDS["translate"]
    each_time_another = iter(range(10))
    changing = kept._replace(
        contents=lambda out: {"file": str(next(each_time_another))}
    )
    assert crash_matrix.try_signals("translate", changing, 1, tmp_path) == 1
    assert "file differs" in capfd.readouterr().out

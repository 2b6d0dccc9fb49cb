"""One or two stops of the fifty that `make soak` tries of each command."""

import crash_matrix
import pytest


@pytest.mark.parametrize(
    ("name", "stops"), [("translate", 2), ("translate-beam", 1), ("export", 1)]
)
def test_a_command_survives_stops(name, stops, tmp_path, capfd):
    command = crash_matrix.COMMANDS[name]
    assert crash_matrix.try_signals(name, command, stops, tmp_path) == 0
    assert f"{name} | " in capfd.readouterr().out


def test_a_file_that_differs_is_lost(tmp_path, capfd):
    kept = crash_matrix.COMMANDS["translate"]
    each_time_another = iter(range(10))
    changing = kept._replace(
        contents=lambda out: {"file": str(next(each_time_another))}
    )
    assert crash_matrix.try_signals("translate", changing, 1, tmp_path) == 1
    assert "file differs" in capfd.readouterr().out

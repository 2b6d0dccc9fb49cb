"""A few clients for a moment, of the 32 for two minutes that `make soak` lets ask."""

import clients
import tiny


def test_each_client_gets_the_answer_to_its_own_image(tmp_path, monkeypatch):
    monkeypatch.setattr(clients, "KINDS", ("no image", "a bomb", "a byte a second", 1))
    tally = clients.Tally()
    run = tiny.untrained_run(tmp_path / "run")
    faults, _ = clients.serve_page(run, tmp_path, 3, 8, tally)
    assert (faults, tally.wrong) == ([], [])
    assert set(tally.asked) == set(clients.KINDS)


def test_each_thread_gets_the_answer_of_each_signature(tmp_path):
    tally = clients.Tally()
    run = tiny.untrained_run(tmp_path / "run")
    clients.ask_saved_model(run, tmp_path, 1, 4, tally)
    assert tally.wrong == []
    assert set(tally.asked) == {"image_bytes", "uint8", "serving_default"}

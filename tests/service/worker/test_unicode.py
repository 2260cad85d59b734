"""A spec's text reaches its trainer, and the trainer's output the log, character by character."""

from tests.service.worker.conftest import Desk
from tests.unicode import EVERY_CHARACTER


def test_every_character_goes_to_the_trainer_and_comes_back(desk: Desk):
    desk.submit("echo complete", name="🧮 Σ", data={"system": EVERY_CHARACTER})
    job = desk.run()
    assert job.status == "succeeded"
    [said] = [record for record in desk.records(job.id) if record.kind == "message"]
    assert said.payload["text"] == EVERY_CHARACTER

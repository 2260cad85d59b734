"""A spec's text reaches its trainer, and the trainer's output the log, character by character."""

from tests.service.worker.conftest import Desk
from tests.unicode import EVERY_CHARACTER, chunks


def test_every_character_goes_to_the_trainer_and_comes_back(desk: Desk):
    for text in chunks(EVERY_CHARACTER, 100_000):  # as long as the field may be
        desk.submit("echo complete", name="🧮 Σ", data={"system": text})
        job = desk.run()
        assert job.status == "succeeded"
        [said] = [record for record in desk.records(job.id) if record.kind == "message"]
        assert said.payload["text"] == text

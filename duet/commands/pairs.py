"""`duet pairs`: a job's samples as preference pairs."""

from duet.connection import JobId, Key, Url, connect
from duet.terminal.output import say
from duet.terminal.plain import plain_json


def pairs(job: JobId, url: Url = None, key: Key = None) -> None:
    """Print each prompt's best and worst completion as preference pairs for DPO, one per JSON line.

    As in `duet pairs JOB > pairs.jsonl`.
    """
    with connect(url, key) as client:
        for pair in client.jobs.pairs(job):
            say(plain_json(pair.model_dump_json()))

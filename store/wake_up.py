"""The wake-up message on Redis: sent by the API and the workers, received by the workers.

A wake-up does not expire, because the receiving worker's clock would decide and may be wrong.  An
old one costs one query of the queue.
"""

TASK = "duet.wake"
QUEUE = "wake"
BOUNDED = {
    "socket_timeout": 0.5,
    "socket_connect_timeout": 0.5,
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
"""Transport options that bound a publish: 0.2 s if Redis refuses, 0.6 s if it is silent."""

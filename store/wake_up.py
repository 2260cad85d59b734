"""What a wake-up looks like on Redis: the api sends it, the worker sends and takes it.

It does not expire: the clock of the worker that takes it would decide, and that may be wrong.  An
old one costs a look at the queue.
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
"""Transport options that bound a publish whatever Redis does: 0.2 s refused, 0.6 s silent."""

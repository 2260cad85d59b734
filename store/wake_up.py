"""What a wake-up looks like on Redis: the api sends it, the worker sends and takes it."""

TASK = "duet.wake"
QUEUE = "wake"
EXPIRES_SECONDS = 3600
"""A worker polls many times as often: older wake-ups are of no use."""

BOUNDED = {
    "socket_timeout": 0.5,
    "socket_connect_timeout": 0.5,
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
"""Transport options that bound a publish whatever Redis does: 0.2 s refused, 0.6 s silent."""

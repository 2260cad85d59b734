"""What a model's folder says of other places: an adapter's base, the files of sharded weights."""

import json
from pathlib import Path
from typing import Any

ADAPTER_CONFIG = "adapter_config.json"
INDEXES = "*.index.json"


def base_of(folder: Path) -> str | None:
    """What an adapter in the folder names as its base; None: there is no adapter, or it names
    none."""
    base = _object_in(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    return base if isinstance(base, str) and base else None


def stray_shard(folder: Path) -> str | None:
    """What an index of sharded weights names that is no file's name: it is joined to the folder
    as it is, so a path would lead out.  None: there is no such thing."""
    for index in sorted(folder.glob(INDEXES)):
        shards = _object_in(index).get("weight_map")
        for shard in shards.values() if isinstance(shards, dict) else ():
            if not isinstance(shard, str) or shard == ".." or Path(shard).name != shard:
                return str(shard)
    return None


def _object_in(path: Path) -> dict[str, Any]:
    """Empty for what cannot be read: whoever loads the model says so."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}

"""Checks of a model's folder before a library opens it: its files may only refer to its own files.

A folder's author chooses these names, and loaders follow them: an index names weights, a config a
tokenizer, an adapter its base, a speculator its verifier, `auto_map` code.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from grpo.runtime.plain_files import FolderRefused

ADAPTER_CONFIG, CONFIG = "adapter_config.json", "config.json"
INDEXES = "*.index.json"
READ = ("*config*.json", INDEXES, "special_tokens_map.json", "modules.json", "params.json")
"""Files that can refer to others.  A tokenizer.json contains its whole vocabulary."""
MAX_BYTES = 32 << 20
MAX_CONFIG_BYTES = 1 << 20
"""Size limit of a model's or an adapter's config, which each check of a spec reads."""

NAMES = re.compile(r"(?:^|_)(?:files?|filename|path|dir|folder|weights)$|name_or_path$")
"""Fields with paths that some loader opens."""
UNREAD = {"_name_or_path", "name_or_path", "special_tokens_map_file"}
"""Fields with the folder's original location, often on another machine; loaders ignore them."""
CODE = {"auto_map", "custom_pipelines"}
ELSEWHERE = {"speculators_config", "gguf_file"}
"""Fields that name another model, or weights of an unsupported kind."""
ADAPTER_EXTRAS = {"megatron_config", "corda_config", "eva_config", "loftq_config", "lora_ga_config"}
"""Fields of peft that import modules, or load tensor files that can contain code."""


def base_of(folder: Path) -> str | None:
    """Return the base that an adapter in the folder names; None: no adapter, or no base.

    Raises:
        FolderRefused: it cannot be read.
    """
    config = folder / ADAPTER_CONFIG
    written = _read(config) if config.is_file() else {}
    base = written.get("base_model_name_or_path") if isinstance(written, dict) else None
    return base if isinstance(base, str) and base else None


def check_names(folder: Path) -> None:
    """Check the names in a folder's files, except an adapter's base (see `base_of`).

    Raises:
        FolderRefused: a file refers to code, another model, or a file outside the folder; or cannot
            be read.
    """
    for path in sorted({path for pattern in READ for path in folder.glob(pattern)}):
        written = _read(path)
        try:
            if path.match(INDEXES):
                _check_index(written)
            else:
                _check(written, strict=path.name in (CONFIG, ADAPTER_CONFIG))
            if path.name == ADAPTER_CONFIG:
                _check_adapter(written)
        except FolderRefused as refused:
            raise FolderRefused(f"its {path.name} {refused}") from None


def _read(path: Path) -> Any:  # noqa: ANN401
    try:
        most = MAX_CONFIG_BYTES if path.name in (CONFIG, ADAPTER_CONFIG) else MAX_BYTES
        if not path.is_file() or path.stat().st_size > most:
            raise FolderRefused(f"its {path.name} is not a file of at most {most >> 20} MiB")
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, FolderRefused):
            raise
        reason = str(error).split("\n", 1)[0]
        raise FolderRefused(f"its {path.name} cannot be read: {reason}") from None


def _check_index(written: Any) -> None:  # noqa: ANN401
    """Check the file names in an index, which loaders join to the folder unchanged."""
    shards = written.get("weight_map") if isinstance(written, dict) else None
    for shard in shards.values() if isinstance(shards, dict) else ():
        if not isinstance(shard, str) or not _is_inside(shard) or "/" in shard:
            raise _no_file(shard)


def _check(written: Any, *, strict: bool) -> None:  # noqa: ANN401
    """Check the fields of a config; `strict`: no field may hold a path outside the folder."""
    for field, value in _fields(written):
        if field in CODE and value:
            raise FolderRefused(
                f"refers to custom code ({field}), which is not allowed: use a model whose "
                "architecture is part of transformers, and remove that field"
            )
        if field in ELSEWHERE and value:
            raise FolderRefused(f"has the field {field}, which is not supported: remove it")
        if not isinstance(value, str) or not value or field in UNREAD:
            continue
        if field == "base_model_name_or_path":
            continue
        if (NAMES.search(field) or (strict and _leads_out(value))) and not _is_inside(value):
            raise _no_file(value)


def _check_adapter(written: Any) -> None:  # noqa: ANN401
    if not isinstance(written, dict):
        raise FolderRefused("is not a JSON object")
    kind = written.get("peft_type", "LORA")
    if kind != "LORA":
        raise FolderRefused(f"has peft_type {str(kind)[:50]!r}: only LORA is supported")
    for field in sorted(ADAPTER_EXTRAS):
        if written.get(field):
            raise FolderRefused(f"has the field {field}, which is not supported: remove it")


def _fields(written: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Yield every field at every depth with its value; lists yield each item."""
    waiting: list[tuple[str, Any]] = [("", written)]
    while waiting:
        field, value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting += [(key, item) for key, item in value.items() if isinstance(item, dict | list)]
        elif isinstance(value, list):
            yield from ((field, item) for item in value)
            waiting += [(field, item) for item in value if isinstance(item, dict | list)]


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    odd = "\\" in name or "\0" in name or ":" in name or name.startswith("~")
    return not odd and not path.is_absolute() and not any(p.startswith(".") for p in path.parts)


def _leads_out(text: str) -> bool:
    return text.startswith(("/", "~")) or ".." in text.split("/") or "://" in text


def _no_file(name: object) -> FolderRefused:
    return FolderRefused(f"refers to {str(name)[:200]!r}, which is not a file in the folder")

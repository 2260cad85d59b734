"""A data set's folder, laid out as on the hub, and the files of each of its splits.

README.md may declare configurations, as patterns over files.  Patterns only select files inside the
folder: a pattern with a path or URL outside of it is refused, and so is a link out of the folder.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from grpo.runtime.plain_files import FolderRefused, plain_files

SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".json", ".csv")
"""Suffixes of data files; no other file but README.md is opened."""
NOT_ROWS = {"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
README = "README.md"
MAX_README_BYTES = 1 << 20
MAX_PATTERNS = 10_000
DEFAULT = "default"
FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
SHARD = re.compile(r"data/([\w.-]+?)-\d{5}-of-\d{5}[^/]*\.[^/]*")
SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""Keywords in names of folders and files for undeclared splits, as on the hub."""

Splits = Mapping[str, Sequence[str]]
"""Names of files in the folder, by split."""


@dataclass(frozen=True)
class DatasetFolder:
    """Data files of a data set's folder, by their relative names."""

    path: Path
    names: tuple[str, ...]

    @classmethod
    def of(cls, path: Path) -> "DatasetFolder":
        """Return the data files of a folder.

        Raises:
            FolderRefused: the folder has a link that points outside it, or too many files.
        """
        names = sorted(name for name in plain_files(path) if _holds_rows(name))
        return cls(path, tuple(names))

    def files(self, config: str | None, split: str) -> list[Path]:
        """Return the files of a configuration's split.

        Raises:
            FolderRefused: the configuration or split does not exist, or names a file that is not in
                the folder.
        """
        declared = _declared(self.path)
        splits = self._splits(declared, config) if declared else self._undeclared(config)
        if split not in splits:
            raise FolderRefused(f"unknown split {split!r}: available are {_listed(splits)}")
        return [self.path / name for name in splits[split]]

    def _splits(self, declared: Mapping[str, Mapping[str, Any]], config: str | None) -> Splits:
        name = _chosen(declared, config)
        patterns = _patterns(name, declared[name])
        if not patterns:
            below = _inside(_text(declared[name], "data_dir", ".") or ".", name)
            return _named_after([file for file in self.names if _lies_in(file, below)])
        return {split: self._matching(found) for split, found in patterns.items()}

    def _undeclared(self, config: str | None) -> Splits:
        if config not in (None, DEFAULT):
            raise FolderRefused(f"unknown configuration {config!r}: its {README} declares none")
        return _named_after(self.names)

    def _matching(self, patterns: Iterable[str]) -> list[str]:
        """Return the matching files, each once, in the order of the patterns.

        Raises:
            FolderRefused: a pattern matches no file.
        """
        found: dict[str, None] = {}
        known = set(self.names)
        for pattern in patterns:
            matching = [pattern] if pattern in known else _glob(pattern, self.names)
            if not matching:
                raise FolderRefused(
                    f"its {README} names {pattern!r}, of which it holds no file with rows "
                    f"({', '.join(SUFFIXES)})"
                )
            found.update(dict.fromkeys(matching))
        return list(found)


def _holds_rows(name: str) -> bool:
    return name.endswith(SUFFIXES) and PurePosixPath(name).name not in NOT_ROWS


def _lies_in(name: str, folder: str) -> bool:
    return folder == "." or name.startswith(f"{folder}/")


# Declarations in README.md.


def _declared(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return the declared configurations by name; empty without a declaration."""
    readme = folder / README
    if not readme.is_file():
        return {}
    with readme.open("rb") as file:
        text = file.read(MAX_README_BYTES).decode(errors="replace")
    front = FRONT_MATTER.match(text)
    if front is None:
        return {}
    try:
        written = yaml.load(front[1], Loader=_PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).split("\n", 1)[0]
        raise FolderRefused(f"the beginning of its {README} is not YAML: {reason}") from None
    configs = written.get("configs") if isinstance(written, dict) else None
    if configs is None:
        return {}
    if not isinstance(configs, list) or not all(isinstance(one, dict) for one in configs):
        raise FolderRefused(f"configs in its {README} is not a list of configurations")
    return {_text(one, "config_name", DEFAULT): one for one in configs[:MAX_PATTERNS]}


def _text(declared: Mapping[str, Any], name: str, default: str) -> str:
    """Return a text value of a configuration.

    Raises:
        FolderRefused: the value is not text; YAML aliases can expand to more than any memory holds.
    """
    value = declared.get(name)
    if value is None:
        return default
    if not isinstance(value, str | int):
        raise FolderRefused(f"{name} in its {README} is not a string")
    return str(value)


class _PlainLoader(yaml.SafeLoader):
    """YAML loader without merge keys, which copy the mapping they name."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.constructor.ConstructorError(
                None, None, "merge keys (<<) are not supported", node.start_mark
            )


def _chosen(declared: Mapping[str, Mapping[str, Any]], config: str | None) -> str:
    if config is not None:
        if config not in declared:
            raise FolderRefused(
                f"unknown configuration {config!r}: available are {_listed(declared)}"
            )
        return config
    defaults = [name for name, one in declared.items() if one.get("default") is True]
    candidates = defaults or [name for name in declared if name == DEFAULT] or list(declared)
    if len(candidates) > 1:
        raise FolderRefused(f"Config name is missing: available are {_listed(declared)}")
    return candidates[0]


def _patterns(config: str, declared: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the patterns of each split, all of them inside the folder."""
    below = _text(declared, "data_dir", ".") or "."
    found: dict[str, list[str]] = {}
    num_patterns = 0
    for split, written in _data_files(config, declared.get("data_files")):
        for pattern in written if isinstance(written, list) else [written]:
            num_patterns += 1
            if not isinstance(pattern, str) or num_patterns > MAX_PATTERNS:
                raise _malformed(config)
            inside = _inside(f"{below}/{pattern}" if below != "." else pattern, config)
            found.setdefault(split, []).append(inside)
    return found


def _data_files(config: str, written: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Return the entries of `data_files`: a pattern, a list of them, or of `{split, path}`."""
    if written is None:
        return
    for entry in written if isinstance(written, list) else [written]:
        if isinstance(entry, str):
            yield "train", entry
        elif isinstance(entry, dict) and isinstance(entry.get("split"), str) and "path" in entry:
            yield entry["split"], entry["path"]
        else:
            raise _malformed(config)


def _malformed(config: str) -> FolderRefused:
    return FolderRefused(
        f"its {README} declares configuration {config!r} with data_files that are not a list of "
        "split and path"
    )


def _inside(pattern: str, config: str) -> str:
    """Return the pattern without empty parts.

    Raises:
        FolderRefused: the pattern can lead out of the folder.
    """
    path = PurePosixPath(pattern)
    outside = path.is_absolute() or ".." in path.parts or pattern.startswith("~")
    if outside or "\\" in pattern or "\0" in pattern or "://" in pattern or "::" in pattern:
        raise FolderRefused(
            f"its {README} names {pattern[:200]!r} in configuration {config!r}: only files inside "
            "the data set are read"
        )
    return path.as_posix()


# Splits by file names.


def _named_after(names: Sequence[str]) -> Splits:
    """Return the splits by the names of shards, else of folders, else of files, else all train."""
    shards: dict[str, list[str]] = {}
    for name in names:
        if shard := SHARD.fullmatch(name):
            shards.setdefault(shard[1], []).append(name)
    return (
        shards
        or _by_keyword(names, folders=True)
        or _by_keyword(names, folders=False)
        or ({"train": list(names)} if names else {})
    )


def _by_keyword(names: Sequence[str], *, folders: bool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for split, keywords in SPLITS.items():
        word = re.compile(rf"(?:^|[-._ 0-9])(?:{'|'.join(keywords)})(?:[-._ 0-9]|$)")
        for name in names:
            *above, last = name.split("/")
            if any(word.search(part) for part in (above if folders else [last])):
                found.setdefault(split, []).append(name)
    return found


def _glob(pattern: str, names: Sequence[str]) -> list[str]:
    wanted = pattern.split("/")
    return [name for name in names if _matches(wanted, name.split("/"))]


def _matches(pattern: Sequence[str], name: Sequence[str]) -> bool:
    """Match a path part by part; `**` matches any number of parts."""
    reached = {0}
    for part in pattern:
        if part == "**":
            reached = set(range(min(reached, default=len(name) + 1), len(name) + 1))
        else:
            reached = {
                place + 1
                for place in reached
                if place < len(name) and fnmatchcase(name[place], part)
            }
    return len(name) in reached


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in list(names)[:50]) or "none"

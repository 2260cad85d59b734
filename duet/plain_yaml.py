"""YAML without aliases, a few lines of which can expand beyond any memory."""

from typing import Any

import yaml
from yaml.composer import ComposerError


class _PlainLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise ComposerError(
                None,
                None,
                "aliases (*name) are not supported: write the value out",
                event.start_mark,
            )
        return super().compose_node(parent, index)


def load_yaml(text: str) -> Any:  # noqa: ANN401
    """Return the document in a text.

    Raises:
        yaml.YAMLError: the text is not valid YAML, or has an alias.
    """
    return yaml.load(text, Loader=_PlainLoader)

"""Values that are wrong for most fields, and the phrases of pydantic's own messages."""

import re

WRONG = (
    {},
    [],
    {"x": 1},
    [None],
    "",
    "x",
    "\0",
    "Ä" * 300,
    -1,
    1.5,
    10**30,
    -(10.0**300),
    True,
    None,
    [[]],
    {"type": "x"},
)

PYDANTIC = re.compile(
    r"Input should|[Ff]ield required|should match|[Uu]nable to|should have|Extra inputs|"
    r"valid (integer|string|number|dictionary|list|boolean|datetime|UUID|tuple)|pydantic|"
    r"Value error|Assertion failed|\^\[|input_value|Error\(",
)

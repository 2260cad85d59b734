"""The Python client's objects match the API's schemas."""

import importlib
import json
import pkgutil
from pathlib import Path

import pytest

import duet.objects
from duet.objects.answer import Answer

SCHEMAS = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())[
    "components"
]["schemas"]

OF_ANOTHER_NAME = {
    "Attempt": "AttemptView",
    "AuditRecord": "AuditView",
    "Checkpoint": "CheckpointView",
    "Dataset": "DatasetView",
    "Delivery": "DeliveryView",
    "Field": "FieldView",
    "File": "FileView",
    "Gpu": "GpuView",
    "Job": "JobView",
    "JobQueue": "QueueView",
    "Key": "KeyView",
    "Model": "ModelView",
    "NewKey": "KeyWithSecret",
    "NewProject": "ProjectWithKey",
    "NewWebhook": "WebhookWithSecret",
    "Secret": "SecretView",
    "Preset": "PresetView",
    "Project": "ProjectView",
    "PromptMessage": "PreviewMessage",
    "PromptRow": "PreviewRow",
    "Readiness": "Ready",
    "Record": "RecordView",
    "Reward": "RewardView",
    "Sample": "SampleView",
    "Sweep": "SweepView",
    "SweepSummary": "SweepSummaryView",
    "Validated": "Estimate",
    "ValidatedSweep": "SweepEstimate",
    "Webhook": "WebhookView",
    "WebhookTest": "TestResult",
    "Worker": "WorkerView",
}
"""The client's class -> the API's schema."""
WITHOUT_SCHEMA = {"Pair"}  # a line of a streamed file


def objects() -> list[type[Answer]]:
    modules = [
        importlib.import_module(f"duet.objects.{module.name}")
        for module in pkgutil.iter_modules(duet.objects.__path__)
    ]
    return [
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, Answer)
        and kind.__module__ == module.__name__
        and kind is not Answer
        and kind.__name__ not in WITHOUT_SCHEMA
    ]


@pytest.mark.parametrize("kind", objects(), ids=lambda kind: kind.__name__)
def test_an_object_has_the_fields_of_its_schema(kind: type[Answer]):
    schema = SCHEMAS[OF_ANOTHER_NAME.get(kind.__name__, kind.__name__)]
    assert set(kind.model_fields) == set(schema["properties"])
    needed = {name for name, field in kind.model_fields.items() if field.is_required()}
    assert needed <= set(schema["required"])
    for name, field in kind.model_fields.items():
        can_be_null = {"type": "null"} in schema["properties"][name].get("anyOf", [])
        assert can_be_null == (type(None) in getattr(field.annotation, "__args__", ())), name

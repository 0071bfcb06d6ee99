"""The operations, by name."""

from __future__ import annotations

OPERATIONS = (
    "chat",
    "batches.create", "batches.list", "batches.get", "batches.cancel", "batches.line",
    "files.create", "files.list", "files.get", "files.content", "files.delete",
    "uploads.create", "uploads.part", "uploads.complete", "uploads.cancel",
    "fine_tuning.create", "fine_tuning.list", "fine_tuning.get", "fine_tuning.delete", "fine_tuning.events",
    "fine_tuning.checkpoints", "fine_tuning.cancel", "fine_tuning.pause", "fine_tuning.resume",
    "models.list", "models.get", "models.delete",
    "deployments.put", "deployments.update", "deployments.get", "deployments.list", "deployments.delete",
    "deployments.skus", "deployments.operation", "account.get", "account.usages",
)  # fmt: skip
"""What faults can be asked for. `batches.line` is one request of a batch."""

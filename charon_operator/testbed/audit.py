"""What the API server writes into its audit log.

Reads: the namespaces whose ServiceAccounts are under test. Gives: an audit policy. Never: records
watches: they are long and say nothing about who changed what.

Writes of the accounts under test are recorded with request and response, their reads without bodies
(the response of a large list would cost more than the list). Of everybody else only writes are
recorded, without bodies and without leases and events, which would be most of the log.
"""

from collections.abc import Sequence
from typing import Any

_WRITES = ["create", "update", "patch", "delete", "deletecollection"]


def policy(audited_namespaces: Sequence[str]) -> dict[str, Any]:
    """The policy document; its rules are tried in order."""
    groups = [f"system:serviceaccounts:{namespace}" for namespace in audited_namespaces]
    ours: list[dict[str, Any]] = [
        {"level": "RequestResponse", "userGroups": groups, "verbs": _WRITES},
        {"level": "Metadata", "userGroups": groups},
    ]
    chatter = [
        {"group": "coordination.k8s.io", "resources": ["leases"]},
        {"group": "", "resources": ["events"]},
        {"group": "events.k8s.io", "resources": ["events"]},
    ]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "verbs": ["watch"]},
            *(ours if groups else []),
            {"level": "None", "resources": chatter},
            {"level": "Metadata", "verbs": _WRITES},
            {"level": "None"},
        ],
    }

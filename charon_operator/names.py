"""Every name that others can see: API group, labels, conditions, reasons, metrics. Their only home.

Reads: nothing. Gives: constants. Never: behaviour.
"""

from enum import StrEnum
from typing import Final

GROUP: Final = "charon.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
FIELD_MANAGER: Final = "charon-operator"

CHARGED_APP: Final = "ChargedApp"
CHARGED_APPS: Final = "chargedapps"
CONTROL_POLICY: Final = "ControlPolicy"
CONTROL_POLICIES: Final = "controlpolicies"
CATEGORY: Final = "charon"

# Kinds of others that are read: group, version, resource and kind as their APIs have them.
APPS: Final = "apps"
DEPLOYMENT: Final = "Deployment"
DEPLOYMENTS: Final = "deployments"
STATEFUL_SET: Final = "StatefulSet"
STATEFUL_SETS: Final = "statefulsets"
AUTOSCALING: Final = "autoscaling"
HPA: Final = "HorizontalPodAutoscaler"
HPAS: Final = "horizontalpodautoscalers"
KEDA: Final = "keda.sh"
SCALED_OBJECT: Final = "ScaledObject"
SCALED_OBJECTS: Final = "scaledobjects"
POLICY: Final = "policy"
PDBS: Final = "poddisruptionbudgets"
PODS: Final = "pods"
NAMESPACES: Final = "namespaces"
NODES: Final = "nodes"
COORDINATION: Final = "coordination.k8s.io"
EVENTS: Final = "events.k8s.io"

# A namespace label: no app in that namespace writes anything while it is there, whatever its value.
LABEL_FORCE_ADVISORY: Final = f"{GROUP}/force-advisory"
# Set by us on a Deployment whose pod template we changed: the variant that it ran as before.
CAME_FROM: Final = f"{GROUP}/came-from"
# Set by the testbed on pods whose status the plant drives instead of a kubelet.
LABEL_PLANT_DRIVEN: Final = "plant.charon.dev/driven"
# Set by the testbed on its fake nodes.
LABEL_FAKE_NODE: Final = "plant.charon.dev/fake-node"
# GPU feature discovery's, on nodes.
LABEL_GPU_PRODUCT: Final = "nvidia.com/gpu.product"
# Set by the testbed on its real node; pods that must really run select it.
LABEL_REAL_NODE: Final = "testbed.charon.dev/real-node"


class ConditionType(StrEnum):
    """Conditions of a ChargedApp; `Ready` sums up the others."""

    READY = "Ready"
    METRICS_HEALTHY = "MetricsHealthy"
    OBJECTIVES_MET = "ObjectivesMet"
    ACTUATING = "Actuating"
    OWNERSHIP_CONFLICT = "OwnershipConflict"
    RESIZE_SETTLED = "ResizeSettled"
    PLACEMENT_FEASIBLE = "PlacementFeasible"


class Reason(StrEnum):
    """Why a condition, a decision or an event is what it is."""

    # Ready
    CONTROLLING = "Controlling"
    ADVISING = "Advising"
    FORCED_ADVISORY = "ForcedAdvisory"
    INVALID_SPEC = "InvalidSpec"
    INVALID_QUERY = "InvalidQuery"
    INVALID_BINDING = "InvalidBinding"
    INVALID_PARAMETERS = "InvalidParameters"
    POLICY_NOT_FOUND = "PolicyNotFound"
    INVALID_POLICY = "InvalidPolicy"
    UNKNOWN_CONTROLLER = "UnknownController"
    LAW_FAILED = "LawFailed"
    INTERNAL_ERROR = "InternalError"
    TARGET_NOT_FOUND = "TargetNotFound"
    TARGET_NOT_ALLOWED = "TargetNotAllowed"
    DELETING = "Deleting"
    # MetricsHealthy
    ALL_FRESH = "AllFresh"
    MISSING = "MissingMetrics"
    BLIND_FLEET = "BlindFleet"
    NOT_YET_ASKED = "NotYetAsked"
    # ObjectivesMet
    WITHIN_TARGET = "WithinTarget"
    BELOW_TARGET = "BelowTarget"
    LOW_COVERAGE = "LowCoverage"
    # Actuating
    SETTLED = "Settled"
    WRITING = "Writing"
    WAITING_FOR_PODS = "WaitingForPods"
    WAITING_FOR_NODES = "WaitingForNodes"
    WRITE_REFUSED = "WriteRefused"
    # OwnershipConflict
    SOLE_OWNER = "SoleOwner"
    HPA_OWNS_TARGET = "HorizontalPodAutoscaler"
    SCALED_OBJECT_OWNS_TARGET = "ScaledObject"
    CHARGED_APP_OWNS_TARGET = "OlderChargedApp"
    CONTROLLED_BY_OWNER = "ControlledByOwner"
    REVERTED_BY_MANAGER = "RevertedByManager"
    # ResizeSettled
    RESIZING = "Resizing"
    RESIZE_DEFERRED = "ResizeDeferred"
    RESIZE_INFEASIBLE = "ResizeInfeasible"
    RESIZE_FAILED = "ResizeError"
    RESIZE_REFUSED = "ResizeRefused"
    RESIZES_OFF = "ResizeOff"
    # PlacementFeasible
    SUPPLY_UNKNOWN = "SupplyUnknown"
    ROLLED_BACK = "RolledBack"
    # Decisions
    RAISED = "Raised"
    LOWERED = "Lowered"
    EXCHANGED = "Exchanged"
    UNCHANGED = "Unchanged"
    HELD = "Held"
    PODS_REFUSED = "PodsRefused"


class LimitName(StrEnum):
    """The limits a wanted replica count or size passes, in the order in which they apply."""

    METRICS = "MetricsMissing"
    BLIND_FLEET = "BlindFleet"
    FALLBACK = "Fallback"
    STABILIZATION = "StabilizationWindow"
    SCALE_UP_POLICY = "ScaleUpPolicy"
    SCALE_DOWN_POLICY = "ScaleDownPolicy"
    COOLDOWN = "LoweringCooldown"
    LOWERINGS_PER_HOUR = "LoweringsPerHour"
    WARMING = "PodsWarming"
    ROLLOUT = "RolloutInFlight"
    DISRUPTION_BUDGET = "PodDisruptionBudget"
    ONE_KNOB = "OneKnobAtATime"
    USAGE_HISTORY = "UsageHistory"
    UNDONE = "LoweringUndone"
    QUARANTINE = "Quarantine"
    PODS_REFUSED = "PodsRefused"
    BOUNDS = "Bounds"
    HOLD = "Hold"


class Shortage(StrEnum):
    """Why no more pods fit, from what is mended last to what passes by itself."""

    NO_SUCH_PRODUCT = "NoSuchProduct"
    NODES_NOT_READY = "NodesNotReady"
    TAINTS = "Taints"
    CAN_NEVER_FIT = "CanNeverFit"
    FRAGMENTED = "Fragmented"
    BUSY_NOW = "BusyNow"


class GrantReason(StrEnum):
    """Why an app may have the GPUs that it may have."""

    ENOUGH = "Enough"
    DEMAND_UNKNOWN = "DemandUnknown"
    MINIMUM_DOES_NOT_FIT = "MinimumDoesNotFit"
    OUT_OF_REACH = "OutOfReach"
    GAVE_WAY = "GaveWay"
    LIMITED = "Limited"


class EventReason(StrEnum):
    """Reasons of the Events posted on a ChargedApp."""

    SCALED = "Scaled"
    RESIZED = "Resized"
    PLACED = "Placed"
    ROLLED_BACK = "RolledBack"
    WRITE_REFUSED = "WriteRefused"
    METRICS_MISSING = "MetricsMissing"
    METRICS_RECOVERED = "MetricsRecovered"
    CONFLICT = "OwnershipConflict"
    INVALID = "Invalid"


class Metric(StrEnum):
    """Metrics of the operator itself (Prometheus names)."""

    DESIRED_REPLICAS = "charon_desired_replicas"
    RAW_REPLICAS = "charon_raw_replicas"
    CURRENT_REPLICAS = "charon_current_replicas"
    READY_REPLICAS = "charon_ready_replicas"
    LIMITED_BY = "charon_limited"
    DESIRED_CPU = "charon_desired_cpu_cores"
    CURRENT_CPU = "charon_current_cpu_cores"
    DESIRED_MEMORY = "charon_desired_memory_bytes"
    ACTUAL_CPU = "charon_actual_cpu_cores"
    ACTUAL_MEMORY = "charon_actual_memory_bytes"
    UNSETTLED_RESIZES = "charon_resizes_unsettled"
    RESIZE_QUARANTINED = "charon_resize_quarantined"
    RESIZES = "charon_resizes_total"
    VARIANT_REPLICAS = "charon_variant_replicas"
    PLACEMENT_FEASIBLE = "charon_placement_feasible"
    ACTUATION = "charon_actuation_seconds"
    INDICATOR_VALUE = "charon_indicator_value"
    INDICATOR_AGE = "charon_indicator_age_seconds"
    INDICATOR_MISSING = "charon_indicator_missing"
    OBJECTIVE_THRESHOLD = "charon_objective_threshold"
    OBJECTIVE_TARGET = "charon_objective_target_ratio"
    OBJECTIVE_BUDGET = "charon_objective_budget_remaining_ratio"
    OBJECTIVE_ATTAINMENT = "charon_objective_attainment_ratio"
    OBJECTIVE_COVERAGE = "charon_objective_coverage_ratio"
    DECISIONS = "charon_decisions_total"
    LIMITED = "charon_decisions_limited_total"
    API_WRITES = "charon_api_writes_total"
    STATUS_WRITE_FAILURES = "charon_status_write_failures_total"
    QUERIES = "charon_queries_total"
    QUERY_REQUESTS = "charon_query_requests_total"
    TURN_SECONDS = "charon_turn_seconds"
    TURNS_SKIPPED = "charon_turns_skipped_total"
    TURN_LATE_SECONDS = "charon_turn_late_seconds"
    METRIC_TO_PATCH = "charon_metric_to_patch_seconds"
    PIPELINE_DEAD_TIME = "charon_pipeline_dead_time_seconds"
    LEADER = "charon_leader"
    APPS = "charon_apps"
    FLEET_BLIND = "charon_fleet_blind"
    INFORMER_RESTARTS = "charon_informer_restarts_total"
    INFORMER_SYNCED = "charon_informer_synced"
    INFORMER_SILENT = "charon_informer_silent_seconds"
    INFORMER_PROBLEMS = "charon_informer_problems"
    DEVICES_FREE = "charon_devices_free"
    JOURNAL_ROWS_LOST = "charon_journal_rows_lost_total"

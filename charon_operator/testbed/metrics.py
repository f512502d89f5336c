"""The metrics stack: Mimir, and the Prometheus agent that scrapes and sends to it.

Reads: a Config, reserved ports. Gives: Programs and the files of their targets. Never: keeps a rule
or a credential: what is queried is the operator's business.
"""

import dataclasses
import json
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from charon_operator import errors
from charon_operator.testbed import config, layout, probes, process, sockets

# What a parser can be made to chew on is bounded at the door (12 kB kept it busy for minutes).
_QUERY_BYTES = 64 * 1024
_TARGET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Makes the programs of the metrics stack."""

    wanted: config.Config
    files: layout.Layout
    binaries: Mapping[str, pathlib.Path]
    ports: sockets.Reservation
    host: str = sockets.LOOPBACK
    """Of Mimir's queries and pushes."""

    @property
    def mimir_url(self) -> str:
        """Mimir's address: the given one, or that of our own."""
        return self.wanted.mimir_url or f"http://{self.host}:{self.ports.port('mimir')}"

    def mimir(self) -> process.Program:
        self.files.data("mimir").mkdir(exist_ok=True)
        file = self.files.config / "mimir.json"
        file.write_text(json.dumps(self._mimir_config(), indent=1))
        flags = [
            f"-config.file={file}",
            f"-query-frontend.max-query-expression-size-bytes={_QUERY_BYTES}",
            *self.wanted.mimir_flags,
        ]
        return process.Program(
            name="mimir",
            command=[self.binaries["mimir"], *flags],
            log=self.files.log("mimir"),
            port=self.ports.port("mimir"),
            is_ready=lambda: probes.answers(f"{self.mimir_url}/ready"),
        )

    def agent(self) -> process.Program:
        file = self.files.config / "agent.json"
        file.write_text(json.dumps(self._agent_config(), indent=1))
        port = self.ports.port("agent")
        flags = [
            "--agent",
            f"--config.file={file}",
            f"--storage.agent.path={self.files.data('agent')}",
            f"--web.listen-address={sockets.LOOPBACK}:{port}",
            # A new target is scraped after a second, not after five.
            "--scrape.discovery-reload-interval=1s",
            "--log.level=warn",
        ]
        return process.Program(
            name="agent",
            command=[self.binaries["prometheus"], *flags],
            log=self.files.log("agent"),
            port=port,
            is_ready=lambda: probes.answers(f"http://{sockets.LOOPBACK}:{port}/-/ready"),
        )

    def _agent_config(self) -> dict[str, Any]:
        interval = f"{round(self.wanted.scrape_interval_s * 1000)}ms"
        return {
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": [
                {
                    "job_name": "charon",
                    # The exporter speaks for the pods: its labels win over the target's.
                    "honor_labels": True,
                    "file_sd_configs": [{"files": [f"{self.files.targets}/*.json"]}],
                }
            ],
            "remote_write": [self._remote_write()],
        }

    def _remote_write(self) -> dict[str, Any]:
        deadline = f"{round(self.wanted.remote_write_deadline_s * 1000)}ms"
        return {
            "url": f"{self.mimir_url}/api/v1/push",
            "headers": {"X-Scope-OrgID": self.wanted.tenant},
            "queue_config": {
                "batch_send_deadline": deadline,
                "min_backoff": "100ms",
                # While Mimir is away nothing is gained by asking it ever more rarely.
                "max_backoff": "1s",
            },
            "metadata_config": {"send": False},
        }

    def _mimir_config(self) -> dict[str, Any]:
        data = self.files.data("mimir")
        return {
            "target": "all",
            "multitenancy_enabled": True,
            "usage_stats": {"enabled": False},
            "activity_tracker": {"filepath": str(data / "activity")},
            "server": {
                "http_listen_address": self.host,
                "http_listen_port": self.ports.port("mimir"),
                "grpc_listen_address": sockets.LOOPBACK,
                "grpc_listen_port": self.ports.port("mimir-grpc"),
                "log_level": "warn",
            },
            **_mimir_storage(data),
            **self._mimir_rings(data),
            "limits": {
                "ingestion_rate": 10_000_000,
                "ingestion_burst_size": 10_000_000,
                "max_global_series_per_user": 0,
                "max_label_names_per_series": 60,
            },
        }

    def _mimir_rings(self, data: pathlib.Path) -> dict[str, Any]:
        """Rings in memory: one process needs no gossip, and two testbeds cannot meet."""
        ring = {"kvstore": {"store": "inmemory"}, "instance_addr": sockets.LOOPBACK}
        once = {"wait_stability_min_duration": "0s"}
        return {
            "distributor": {
                "ring": ring,
                # The agent obeys Retry-After: a push that comes a moment before Mimir is ready
                # again would cost many seconds of samples. Its own back-off ends at a second.
                "retry_after_header": {"enabled": False},
            },
            "ingester": {
                "ring": {
                    **ring,
                    "replication_factor": 1,
                    "min_ready_duration": "0s",
                    "final_sleep": "0s",
                    "tokens_file_path": str(data / "tokens"),
                }
            },
            "compactor": {"data_dir": str(data / "compactor"), "sharding_ring": ring},
            "store_gateway": {"sharding_ring": {**ring, **once, "replication_factor": 1}},
            "ruler": {"rule_path": str(data / "rules"), "ring": ring},
            "overrides_exporter": {"ring": ring},
            "query_scheduler": {"ring": ring},
            "querier": {"ring": ring},
            "frontend": {"address": sockets.LOOPBACK},
        }


def _mimir_storage(data: pathlib.Path) -> dict[str, Any]:
    return {
        "common": {"storage": {"backend": "filesystem"}},
        "blocks_storage": {
            "backend": "filesystem",
            "filesystem": {"dir": str(data / "blocks")},
            "tsdb": {"dir": str(data / "tsdb")},
            "bucket_store": {"sync_dir": str(data / "sync")},
        },
        "ruler_storage": {"backend": "filesystem", "filesystem": {"dir": str(data / "ruler")}},
        "alertmanager_storage": {
            "backend": "filesystem",
            "filesystem": {"dir": str(data / "alertmanager")},
        },
    }


def write_target(
    targets: pathlib.Path, name: str, host_port: str, labels: Mapping[str, str]
) -> None:
    """Adds or replaces one scrape target; the agent sees the file change."""
    file = _target_file(targets, name)
    group = {"targets": [host_port], "labels": {"job": name, **labels}}
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps([group]))
    draft.replace(file)


def remove_target(targets: pathlib.Path, name: str) -> None:
    """Removes a scrape target; nothing happens if it is not there."""
    _target_file(targets, name).unlink(missing_ok=True)


def _target_file(targets: pathlib.Path, name: str) -> pathlib.Path:
    if not _TARGET_NAME.fullmatch(name):
        raise errors.TestbedError(
            f"{name!r} cannot name a scrape target: use letters, digits, '.', '_' and '-'"
        )
    return targets / f"{name}.json"

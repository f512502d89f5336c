"""Where a testbed's control plane comes from: three answers to one Protocol.

Reads: a Config. Gives: the provider it names. Never: starts anything by being imported.
"""

from charon_operator.testbed import config
from charon_operator.testbed.providers import kind, kubeconfig, modules
from charon_operator.testbed.providers.contract import Cluster, Launcher, Source

__all__ = ["Cluster", "Launcher", "Source", "of"]


def of(wanted: config.Config) -> Source:
    """The provider a Config names."""
    match wanted.provider:
        case config.Provider.MODULES:
            return modules.Modules(wanted)
        case config.Provider.KUBECONFIG:
            return kubeconfig.Existing(wanted)
        case config.Provider.KIND:
            return kind.Kind(wanted)

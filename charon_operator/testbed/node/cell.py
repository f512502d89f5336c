"""Brings one real node up beside a control plane, and takes it down.

Reads: a RealNode, what the starter hands it. Gives: a node that is registered and can run pods,
the address where pods find this machine. Never: checks what the machine lacks: `needs` does, before
anything is built.
"""

from charon_operator.testbed import certificates, config, images
from charon_operator.testbed.node import kubelet, machine, network, runtime
from charon_operator.testbed.providers import contract


class Cell:
    """One real node of one testbed; what it reserves is freed by `remove`."""

    def __init__(self, wanted: config.RealNode, launcher: contract.Launcher) -> None:
        machine.clear(launcher.files)
        net, self._claim = network.reserve(int(machine.key(launcher.files), base=16))
        self._wanted = wanted
        self._launcher = launcher
        self._ground = machine.Machine(launcher.files, net)
        self._pid = 0

    @property
    def near(self) -> str:
        """The address of this machine that pods reach."""
        return self._ground.net.near

    @property
    def containerd(self) -> str:
        """The path of containerd's socket, for as long as the node's namespaces live."""
        return runtime.address(self._pid)

    def lay_ground(self) -> None:
        """Makes the namespaces and the link, and starts containerd in them."""
        launch = self._launcher.launch
        binaries = self._launcher.binaries["kubelet"].parent
        self._pid = launch(lambda: self._ground.program(binaries)).pid or 0
        self._ground.connect(self._pid)
        sandbox = images.busybox()
        launch(lambda: runtime.program(self._ground, self._pid, sandbox.reference))
        images.load(sandbox, self.containerd)

    def join(self, api_url: str) -> None:
        """Starts kubelet and kube-proxy against an API server that answers."""
        authority = certificates.Authority(self._launcher.files.keys)
        agents = kubelet.Agents(self._wanted, self._ground, self._pid, api_url, authority)
        self._launcher.launch(agents.kubelet)
        self._launcher.launch(agents.proxy)

    def remove(self) -> None:
        """Removes what the end of its processes left."""
        machine.clear(self._launcher.files)
        self._claim.close()

"""A real node: kubelet, kube-proxy and containerd in namespaces of their own on this machine.

Reads: a RealNode of a Config, Debian's containerd, runc and network plugins. Gives: `Cell`, which
the starter drives; `machine.clear`, which removes what a killed testbed left. Never: runs without
root, nor leaves a mount, a link, a packet filter rule or a cgroup behind.
"""

"""A Kubernetes operator that holds applications to the service levels they declare.

The flow: ChargedApp, ControlPolicy -> model -> observe -> decide -> actuate -> record.
`loop/turn.py` is where the order is written as code; `README.md` draws the rooms.
"""

__version__ = "0.1.0"

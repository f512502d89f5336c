"""`charon lab`: the testbed's verbs and the plant's, under one name."""

from charon_operator.cli.lab_curve import curve
from charon_operator.cli.lab_plant import plant
from charon_operator.cli.lab_testbed import lab

lab.add_command(plant)
lab.add_command(curve)

__all__ = ["lab"]

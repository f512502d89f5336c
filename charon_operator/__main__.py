"""`python -m charon_operator` is `charon`."""

from charon_operator.cli import main

main(prog_name="charon")

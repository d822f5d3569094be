"""The behaviours of the step types, one module per family; ``lab.sequence.steptypes`` is their table."""

"""The step types by family; ``lab.sequence.steptypes`` joins them."""

"""The client's side from PXE to the first step, pure; the guest's agent and the simulator drive it."""

# LabPE, second stage: hardware, then the agent.
. /run/osdlab/common
mark "root is open"
load_hardware
mark "hardware is ready"
mount_system
mark "LabPE is ready"
/osdlab/start pe
mark "the agent ended with $?"
finish

"""The clock: seats everybody and runs the phases of a step.  Sees recording and all rooms below it."""

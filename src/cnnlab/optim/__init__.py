"""Schedules as pure functions of the step."""

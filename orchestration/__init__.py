"""WHEN: definitions, jobs, schedules, sensors; the one place of assembly."""

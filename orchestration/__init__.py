"""WHEN: definitions, jobs, schedules, sensors; the one place of assembly. What is computed stands in assets and ops."""

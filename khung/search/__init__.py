"""From a question to moments: parse, channels, fusion, sequences, the engine, evaluation.

The doors are `query.parse` and `engine.Engine`. Nothing here opens a video or speaks HTTP.
"""

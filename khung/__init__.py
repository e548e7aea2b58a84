"""khung finds the moment in a video library, asked in Vietnamese or English."""

__version__ = "0.1.0"

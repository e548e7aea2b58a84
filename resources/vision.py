"""The models, each loaded when a run first needs it and kept for all the videos of that run.

Which models they are is khung.vision.load's choice by the settings; the runs get the plain Embedder, Describer and TextReader.
"""

import dagster as dg

from khung.settings import Settings
from khung.vision import Describer, Embedder, TextReader
from khung.vision.load import load_describer, load_embedder, load_fallback, load_reader


class EmbedderResource(dg.ConfigurableResource[Embedder]):
    """Puts frames and queries into one vector space."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> Embedder:
        return load_embedder(self.settings)


class FallbackResource(dg.ConfigurableResource[Embedder | None]):
    """Stands in for the embedder, in a space of its own, on frames that this one fails on; None without one."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> Embedder | None:
        return load_fallback(self.settings)


class DescriberResource(dg.ConfigurableResource[Describer]):
    """Says what is in a frame, in Vietnamese and English."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> Describer:
        return load_describer(self.settings)


class ReaderResource(dg.ConfigurableResource[TextReader]):
    """Reads the text on the screen."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> TextReader:
        return load_reader(self.settings)

"""TransNetV2, compiled once a run."""

import dagster as dg

from khung.settings import Settings
from khung.shots.transnet import TransNet
from khung.vision import files


class TransNetResource(dg.ConfigurableResource[TransNet]):
    """The network that sees cuts and gradual transitions."""

    settings: dg.ResourceDependency[Settings]

    def create_resource(self, context: dg.InitResourceContext) -> TransNet:
        weights = files.path("transnetv2.onnx", self.settings.models_path)
        return TransNet(weights, precision=self.settings.extraction.transnet_precision)

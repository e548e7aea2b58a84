"""Pictures in a materialisation's metadata: small enough for an event log that is kept, large enough to judge by.

The full-size sheet lies in the archive; here it is shrunk and put into markdown as a data URI.
"""

import base64
import io

import dagster as dg

WIDTH = 960
MOST_BYTES = 24_000  # an event; 10,000 videos make 240 MB of them
QUALITIES = (70, 50, 35, 20)


def in_markdown(picture: bytes, says: str) -> dg.MarkdownMetadataValue:
    """The picture as metadata that the UI shows. `says`: what it is, for those who do not see it."""
    data = base64.b64encode(shrunk(picture)).decode("ascii")
    return dg.MetadataValue.md(f"![{says}](data:image/webp;base64,{data})")


def shrunk(picture: bytes) -> bytes:
    """WebP at most 960 wide and, if the lowest quality allows, within 24 kB."""
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as opened:
        small = opened.convert("RGB")
    small.thumbnail((WIDTH, WIDTH * 4))
    for quality in QUALITIES:
        out = io.BytesIO()
        small.save(out, "WEBP", quality=quality, method=4)
        if out.tell() <= MOST_BYTES:
            break
    return out.getvalue()

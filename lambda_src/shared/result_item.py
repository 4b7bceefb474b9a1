"""The result item: one type for the functions, the command line, the tests and lambda_src/openapi.yaml.

DynamoDB, the HTTP API and `--json` hold the same names. A field that is not `NotRequired` stands in every
result, also in one that failed. Names inside the findings are Amazon Rekognition's own, and a finding may
hold more of them than are named here. Shares are parts of the picture's width or height.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Feature = Literal["labels", "moderation", "faces", "text", "properties"]


class ResultItem(TypedDict):
    """All that is known about one picture.

    A feature that was asked for is there, or it stands under `unavailable`, or the result failed. An empty
    list means: analyzed, and nothing found. An answer without the token leaves out what is marked so.
    """

    objectKey: str
    """The picture's key in the bucket, decoded; at most 1,024 bytes of UTF-8. From the event."""

    bucket: str
    """The bucket that the picture lies in. From the event."""

    status: Literal["done", "failed"]
    """`failed` as long as any part of the analysis failed. From the ingest function."""

    analyzedAt: str
    """When the result was made, ISO 8601 UTC with milliseconds and Z. From the ingest function's clock."""

    features: list[Feature]
    """The features asked for, in the order in which they are shown. From the pipeline's settings."""

    models: dict[str, str]
    """Feature to the version of the model that answered. From Rekognition, as far as it names one."""

    durationMs: int
    """Milliseconds from the event to the result. From the ingest function's clock."""

    versionId: NotRequired[str]
    """The picture's version; absent in a bucket without versions, and without the token. From S3."""

    eTag: NotRequired[str]
    """The picture's ETag without quotation marks; absent only without the token. From S3."""

    sequencer: NotRequired[str]
    """The place of the picture's event among those of its key, padded so that text order is time order;
    absent only without the token. From the event."""

    sizeBytes: NotRequired[int]
    """Bytes; absent where neither the event nor S3 told. From S3."""

    contentType: NotRequired[str]
    """The content's true type, such as `image/jpeg`; absent for no picture. From its first bytes."""

    width: NotRequired[int]
    """Pixels, as stored in the file, before any EXIF rotation. From the picture's header."""

    height: NotRequired[int]
    """Pixels, as stored in the file, before any EXIF rotation. From the picture's header."""

    original: NotRequired[Original]
    """The file that the picture was converted from before it was sent; absent for any other picture, and
    without the token. From the object's metadata."""

    sha256: NotRequired[str]
    """SHA-256 of the picture's bytes in hexadecimal; absent where they were refused unread, and without the
    token. From S3, where it has verified one, else from the ingest function."""

    reusedFrom: NotRequired[dict[str, Origin]]
    """Feature to the picture of the same bytes whose analysis this is; absent without the token. From the
    ingest function."""

    notIndexed: NotRequired[bool]
    """True while `find` may not show the picture, since DynamoDB refused rows of its index; absent otherwise,
    and without the token. From the ingest function."""

    orientation: NotRequired[int]
    """2 to 8, as EXIF counts; absent for an upright picture. All places in the findings are those of the
    upright picture. From the picture's EXIF data."""

    labels: NotRequired[list[Label]]
    """Things and scenes, the most certain first. From DetectLabels."""

    moderation: NotRequired[list[Moderation]]
    """Unwanted content, at each level of the taxonomy. From DetectModerationLabels."""

    faces: NotRequired[list[Face]]
    """Faces; absent without the token. From DetectFaces."""

    text: NotRequired[list[TextDetection]]
    """Lines and their words; absent without the token. From DetectText."""

    properties: NotRequired[Properties]
    """Colors and quality of the whole picture. From DetectLabels with IMAGE_PROPERTIES."""

    trimmed: NotRequired[dict[str, int]]
    """Feature to how many of its least certain findings had no room. From the ingest function."""

    unavailable: NotRequired[dict[str, Reason]]
    """Feature to why this endpoint cannot give it. From Rekognition's refusal."""

    error: NotRequired[Failure]
    """Why the result failed; there exactly when `status` is `failed`. From the ingest function."""

    imageUrl: NotRequired[str]
    """A link to the picture that ends after five minutes; never stored. From GET /results?images=true."""


class Reason(TypedDict):
    """Why something is not there: a code for programs, a sentence for people."""

    code: str
    message: str


class Failure(Reason):
    """Why a result failed. hint: how to go on. retryable: whether another try may end well.

    triesLeft: how many more Lambda makes of the event, as far as the ingest function can count them; there
    exactly when it is retryable. A try that is stopped before it stores anything is not counted.
    """

    hint: str
    retryable: bool
    triesLeft: NotRequired[int]


class Original(TypedDict):
    """A file that was converted. kind: its format, such as HEIC or CR2. name: without folders; absent where
    it is too long for the metadata."""

    kind: str
    name: NotRequired[str]


class Origin(TypedDict):
    """A picture whose analysis was used again. versionId: absent in a bucket without versions."""

    objectKey: str
    versionId: NotRequired[str]


class Named(TypedDict):
    """A parent, an alias or a category of a label."""

    Name: str


class BoundingBox(TypedDict):
    """Shares of the picture's width and height; may reach beyond its edges."""

    Left: float
    Top: float
    Width: float
    Height: float


class Instance(TypedDict):
    """One place in the picture where a label was found. Confidence: percent."""

    BoundingBox: BoundingBox
    Confidence: float


class Found(TypedDict):
    """A name, and how certain it is. Confidence: percent, at least the stored floor of 50."""

    Name: str
    Confidence: float


class Label(Found):
    """A thing or a scene."""

    Parents: NotRequired[list[Named]]
    Aliases: NotRequired[list[Named]]
    Categories: NotRequired[list[Named]]
    Instances: NotRequired[list[Instance]]


class Moderation(Found):
    """Unwanted content. ParentName: "" at the top. TaxonomyLevel: 1 at the top."""

    ParentName: NotRequired[str]
    TaxonomyLevel: NotRequired[int]


class AgeRange(TypedDict):
    """Years."""

    Low: int
    High: int


class Emotion(TypedDict):
    """An emotion that a face seems to show. Confidence: percent."""

    Type: str
    Confidence: float


class Trait(TypedDict):
    """Whether a face has something. Confidence: percent."""

    Value: bool
    Confidence: NotRequired[float]


class Face(TypedDict):
    """A face. Confidence: percent."""

    Confidence: float
    BoundingBox: NotRequired[BoundingBox]
    AgeRange: NotRequired[AgeRange]
    Emotions: NotRequired[list[Emotion]]
    Smile: NotRequired[Trait]
    Eyeglasses: NotRequired[Trait]
    Sunglasses: NotRequired[Trait]
    EyesOpen: NotRequired[Trait]


class TextDetection(TypedDict):
    """A line of text, or one word of it. ParentId: the Id of a word's line. Confidence: percent."""

    DetectedText: str
    Confidence: float
    Type: NotRequired[Literal["LINE", "WORD"]]
    Id: NotRequired[int]
    ParentId: NotRequired[int]
    Geometry: NotRequired[dict[str, Any]]


class Color(TypedDict):
    """A color that stands out. Red, Green and Blue: 0 to 255. PixelPercent: percent of the pixels."""

    Red: int
    Green: int
    Blue: int
    HexCode: str
    PixelPercent: float
    CSSColor: NotRequired[str]
    SimplifiedColor: NotRequired[str]


class Quality(TypedDict):
    """Each from 0 to 100."""

    Brightness: NotRequired[float]
    Sharpness: NotRequired[float]
    Contrast: NotRequired[float]


class Properties(TypedDict):
    """The picture as a whole. Foreground and Background: the same two parts for a part of the picture."""

    Quality: NotRequired[Quality]
    DominantColors: NotRequired[list[Color]]
    Foreground: NotRequired[dict[str, Any]]
    Background: NotRequired[dict[str, Any]]


class Indexed(TypedDict):
    """What the store's entry for a key knows of the rows by which it is found. Readers do not see it."""

    indexed: NotRequired[list[str]]
    """All rows that the index may have of this picture, as `index_rows.entries` writes them."""

    indexedAt: NotRequired[int]
    """Milliseconds since 1970, larger with each writing; absent while rows of the result may be missing."""


class StoredItem(ResultItem, Indexed):
    """A result as the store holds it."""

    day: str
    """The UTC date of `analyzedAt`, the key of the table's index by time. Readers do not see it."""


class Tombstone(Indexed):
    """The mark of a removed picture, so that a late event cannot bring its result back. Never shown."""

    objectKey: str
    status: Literal["removed"]
    sequencer: str
    expiresAt: NotRequired[int]
    """Seconds since 1970 after which DynamoDB may delete it."""


Stored = StoredItem | Tombstone
"""The store's entry for a key: a result, or the mark of a removed picture."""

"""GET /results with labels, text and names, and GET /labels: what the index finds is what the results say."""

from __future__ import annotations

import base64
import itertools
import json
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError

from imgpipe_cli.aws.client import Aws, Place
from imgpipe_cli.deploy.results.row_index import RowIndex
from imgpipe_cli.deploy.results.store import BucketStore, TableStore
from ingest.analysis import MAX_LABELS
from ingest.faults import TryAgain
from shared.index_rows import STATE, certainties, entries, label_pk, name_pk, row_of, text_pk
from shared.result_objects import RESULTS, iso, milliseconds
from shared.results import shown
from tests.support import exhaustive
from tests.support.account import RecordingAws
from tests.support.index_table import make_index
from tests.support.result_places import INDEX_TABLE, RESULTS_BUCKET, TABLE
from web import app
from web.needs import PageLimits
from web.search import Search

if TYPE_CHECKING:
    from shared.result_item import ResultItem
    from tests.support.function_cloud import Cloud
    from tests.support.gateway import Call

CAT_MARK = Search(labels=("Cat",)).mark
CAT = {"Name": "Cat", "Confidence": 98.5, "Parents": [{"Name": "Animal"}, {"Name": "Pet"}]}
PHONE = {"Name": "Mobile Phone", "Confidence": 81.0, "Aliases": [{"Name": "Cell Phone"}]}


def label(name: str, confidence: float, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Confidence": confidence, **more}


def line(text: str, confidence: float = 90.0) -> dict[str, Any]:
    return {"DetectedText": text, "Type": "LINE", "Confidence": confidence}


def store(cloud: Cloud, key: str, *labels: dict[str, Any], **more: Any) -> None:
    """A result with its rows, in place of what there is."""
    item: Any = {
        **{"objectKey": key, "bucket": "b", "status": "done", "analyzedAt": "2026-11-22T10:00:00.000Z"},
        **{"day": "2026-11-22", "sequencer": "1" * 32, "features": ["labels", "text"], "models": {}},
        **{"durationMs": 1, "labels": list(labels), **more},
    }
    assert cloud.result_store.replace(item, seen=cloud.result_store.read(key))


def find(call: Call, cloud: Cloud, limit: int = 100, **query: Any) -> list[str]:
    """The keys of all pages."""
    found: list[str] = []
    more = {"limit": str(limit), **query}
    for _ in range(200):
        answer = call(app.serve, cloud.web(), "GET /results", more)
        assert answer.status == 200, answer.json
        found += [item["objectKey"] for item in answer.json["items"]]
        if answer.json["next"] is None:
            return found
        more = {**more, "after": answer.json["next"]}
    raise AssertionError("the pages never end")


@pytest.fixture
def three(cloud: Cloud) -> Cloud:
    store(cloud, "pics/cat.jpg", CAT, label("Sofa", 60.0), text=[line("Happy Birthday", 77.0)])
    store(cloud, "pics/dog at sea.jpg", label("Dog", 90.0, Parents=[{"Name": "Animal"}]))
    store(cloud, "phone.png", PHONE, label("Cat", 71.0), text=[line("HAPPY"), line("Straße", 55.0)])
    store(cloud, "broken.jpg", status="failed")
    return cloud


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ({"label": "cat"}, ["pics/cat.jpg", "phone.png"]),
        ({"label": "ANIMAL"}, ["pics/cat.jpg", "pics/dog at sea.jpg"]),
        ({"label": "cell  phone"}, ["phone.png"]),
        ({"label": "Cat", "min_confidence": "71.5"}, ["pics/cat.jpg"]),
        ({"label": "Cat", "min_confidence": "98.5"}, ["pics/cat.jpg"]),
        ({"label": "Cat", "min_confidence": "98.6"}, []),
        ({"label": ["cat", "sofa"]}, ["pics/cat.jpg"]),
        ({"label": ["cat", "sofa"], "min_confidence": "70"}, []),
        ({"label": ["dog", "cell phone", "cat"], "any": "true"}, ["cat", "dog at sea", "phone"]),
        ({"label": ["dog", "cat"]}, []),
        ({"label": "zebra"}, []),
        ({"text": "happy"}, ["phone.png", "pics/cat.jpg"]),
        ({"text": "birthday HAPPY"}, ["pics/cat.jpg"]),
        ({"text": "STRASSE"}, ["phone.png"]),
        ({"text": "happy", "label": "mobile phone"}, ["phone.png"]),
        ({"name": "sea dog"}, ["pics/dog at sea.jpg"]),
        ({"name": "jpg", "label": "animal", "prefix": "pics/d"}, ["pics/dog at sea.jpg"]),
        ({"name": "jpg", "status": "failed"}, ["broken.jpg"]),
        ({"label": "cat", "status": "failed"}, []),
    ],
)
@pytest.mark.parametrize("limit", [1, 100])
def test_pictures_are_found_best_first(
    call: Call, three: Cloud, query: dict[str, Any], keys: list[str], limit: int
) -> None:
    found = find(call, three, limit, **query)
    if query.get("any"):
        assert [key.removeprefix("pics/").partition(".")[0] for key in found] == keys
    else:
        assert found == keys


def test_a_picture_is_found_by_its_least_certain_label_and_parent(call: Call, cloud: Cloud) -> None:
    many = [label(f"Thing {n}", 99.0 - n / 4, Parents=[{"Name": f"Kind {n}"}]) for n in range(MAX_LABELS)]
    store(cloud, "full.jpg", *many)
    assert find(call, cloud, label=f"thing {MAX_LABELS - 1}") == ["full.jpg"]
    assert find(call, cloud, label=f"kind {MAX_LABELS - 1}") == ["full.jpg"]


def test_the_last_words_of_a_key_count_also_where_a_folder_has_them(call: Call, cloud: Cloud) -> None:
    key = f"cats/{'/'.join(f'folder{number}' for number in range(25))}/cats.jpg"
    store(cloud, key)
    assert find(call, cloud, name="cats jpg folder7") == [key]
    assert find(call, cloud, name="folder6") == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"label": " "}, "invalid_label"),
        ({"label": [f"l{number}" for number in range(11)]}, "invalid_label"),
        ({"label": "cat", "any": "yes"}, "invalid_any"),
        ({"text": "!?"}, "invalid_text"),
        ({"name": ""}, "invalid_name"),
        ({"text": "a b c d e f g h i j k"}, "invalid_text"),
        ({"label": "cat", "min_confidence": "x"}, "invalid_min_confidence"),
        ({"with_label": " "}, "invalid_with_label"),
        ({"with_label": "cat", "min_confidence": "x"}, "invalid_min_confidence"),
        *(
            ({"label": "cat", "after": base64.urlsafe_b64encode(text.encode()).decode()}, "invalid_cursor")
            for text in (
                "",
                "x",
                "[1]",
                json.dumps(["found", CAT_MARK, 0, "x"]),
                json.dumps(["found", CAT_MARK, 0, "\u0660" * 2 + ".00#" + "a" * 32]),
                json.dumps(["found", CAT_MARK, 1, "00.00#" + "a" * 32]),
                json.dumps(["found", CAT_MARK, True, {}]),
                json.dumps(["found", Search(labels=("dog",)).mark, 0, "00.00#" + "a" * 32]),
                json.dumps(["2026-11-22", None, None]),
            )
            if text
        ),
    ],
)
def test_what_cannot_be_looked_for_says_so(call: Call, cloud: Cloud, query: Any, code: str) -> None:
    answer = call(app.serve, cloud.web(), "GET /results", query)
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize(
    "other",
    [
        {"label": "dog"},
        {"label": ["jpg", "cat"]},
        {"label": ["cat", "jpg"], "any": "true"},
        {"label": "cat", "text": "jpg"},
        {"name": "jpg"},
        {"with_label": "cat"},
        {},
    ],
)
def test_a_cursor_is_that_of_one_search(call: Call, three: Cloud, other: Any) -> None:
    """Another one would leave out pictures and say nothing."""

    def ask(**query: Any) -> Any:
        return call(app.serve, three.web(), "GET /results", query)

    store(three, "pics/cat 2.jpg", CAT)
    after = ask(label="cat", name="jpg", limit="1").json["next"]
    answer = ask(**other, after=after)
    assert (answer.status, answer.code) == (400, "invalid_cursor")
    again = ask(label="CAT", name="JPG", min_confidence="60", after=after)
    assert len(again.json["items"]) == 1, "it may leave out more"


def test_rows_that_are_left_over_show_nothing(call: Call, cloud: Cloud) -> None:
    store(cloud, "a.jpg", CAT)
    rows = cloud.index.scan(TableName=INDEX_TABLE)["Items"]
    store(cloud, "a.jpg", label("Dog", 99.0))
    store(cloud, "gone.jpg", CAT)
    cloud.lose("gone.jpg")
    for row in rows:  # as after a stop before they were removed
        cloud.index.put_item(TableName=INDEX_TABLE, Item=row)
    assert find(call, cloud, label="cat") == []
    assert find(call, cloud, label="dog") == ["a.jpg"]


def read_by(call: Call, cloud: Cloud, **query: Any) -> set[str]:
    """The keys of the results that the store is asked for, to list these."""
    names = {"BatchGetItem": "table", "GetObject": "bucket"}
    read: set[str] = set()

    def note(params: Any, model: Any, **_context: Any) -> None:
        if names.get(model.name) == "bucket":
            read.add(params["Key"].removeprefix(RESULTS).removesuffix(".json"))
        elif TABLE in params.get("RequestItems", {}):
            read.update(key["objectKey"]["S"] for key in params["RequestItems"][TABLE]["Keys"])

    events = cloud.results_client.meta.events
    events.register("provide-client-params", note, unique_id="note")
    find(call, cloud, **query)
    events.unregister("provide-client-params", unique_id="note")
    return read


def test_only_results_with_the_label_are_read_for_a_list_of_them(call: Call, three: Cloud) -> None:
    for number in range(3):
        store(three, f"{number}.jpg", label("Sofa", 90.0), analyzedAt=f"2026-11-2{number}T10:00:00.000Z")
    listed = find(call, three, with_label="SOFA", min_confidence="70")
    assert listed == ["2.jpg", "1.jpg", "0.jpg"]
    assert find(call, three, 1, with_label="cell phone") == ["phone.png"]
    assert find(call, three, with_label="zebra") == []
    assert read_by(call, three, with_label="SOFA", min_confidence="70") == set(listed)
    assert read_by(call, three, with_label="sofa") == {*listed, "pics/cat.jpg"}


def test_labels_that_many_have_or_that_the_index_may_lack_are_looked_for_in_all_results(
    call: Call, three: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = {"pics/cat.jpg", "pics/dog at sea.jpg", "phone.png", "broken.jpg"}
    monkeypatch.setattr("web.search.NARROW", 1)
    assert set(find(call, three, with_label="cat")) == {"pics/cat.jpg", "phone.png"}
    assert read_by(call, three, with_label="cat") == every
    assert read_by(call, three, with_label="dog") == {"pics/dog at sea.jpg"}
    three.failed_index = ""  # the function was not told yet that the indexes are complete
    assert find(call, three, with_label="dog") == ["pics/dog at sea.jpg"]
    assert read_by(call, three, with_label="dog") == every


def test_a_search_says_how_far_the_index_is(call: Call, three: Cloud) -> None:
    def index(**query: str) -> Any:
        return call(app.serve, three.web(), "GET /results", query).json.get("index")

    def state(**fields: Any) -> None:
        pk, sk = STATE
        three.index.put_item(TableName=INDEX_TABLE, Item={"pk": {"S": pk}, "sk": {"S": sk}, **fields})

    three.failed_index = ""  # the function was not told yet that the indexes are complete
    assert index(label="cat") == {"complete": False, "filled": 0, "of": None}
    state(filled={"N": "120"}, of={"N": "5000"})
    assert index(label="cat") == {"complete": False, "filled": 120, "of": 5000}
    assert index() is None
    three.failed_index = "failed"
    assert index(label="cat") == {"complete": True}


def test_a_store_that_is_late_gives_no_empty_page(call: Call, three: Cloud) -> None:
    three.page_limits = PageLimits(walk_s=-1, read_s=-1)
    answers = [call(app.serve, three.web(), "GET /results", {"label": "cat", "limit": "1"})]
    assert answers[0].status in (200, 503)
    assert find(call, three, 1, label="cat") == ["pics/cat.jpg", "phone.png"]


# --- labels ----------------------------------------------------------------------------------------


def labels(call: Call, cloud: Cloud, **query: str) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    while True:
        answer = call(app.serve, cloud.web(), "GET /labels", query)
        assert answer.status == 200, answer.json
        found += [(item["name"], item["count"]) for item in answer.json["items"]]
        if answer.json["next"] is None:
            return found
        query["after"] = answer.json["next"]


@pytest.mark.parametrize("limit", ["1", "2", "100"])
def test_labels_are_listed_with_their_numbers(call: Call, three: Cloud, limit: str) -> None:
    every = [("Animal", 2), ("Cat", 2), ("Dog", 1), ("Mobile Phone", 1), ("Pet", 1), ("Sofa", 1)]
    assert labels(call, three, limit=limit) == every
    assert labels(call, three, limit=limit, prefix="CA") == [("Cat", 2)]
    assert labels(call, three, limit=limit, min_confidence="80")[1] == ("Cat", 1)


def test_a_label_that_no_picture_has_any_more_is_not_listed(call: Call, cloud: Cloud) -> None:
    store(cloud, "a.jpg", CAT)
    store(cloud, "a.jpg", label("Dog", 90.0))
    assert labels(call, cloud) == [("Dog", 1)]


@pytest.mark.parametrize("least", [64.1, 70, 75.55, 99.99, 100])
def test_labels_count_the_pictures_that_are_found(call: Call, cloud: Cloud, least: float) -> None:
    """Rows tell hundredths of a percent: rounded up, 69.996 would count as 70."""
    for number, confidence in enumerate((least - 0.01, least - 0.004, least, min(least + 0.004, 100))):
        store(cloud, f"{number}.jpg", label("Cat", confidence))
    assert sorted(find(call, cloud, label="cat", min_confidence=f"{least}")) == ["2.jpg", "3.jpg"]
    assert labels(call, cloud, min_confidence=f"{least}") == [("Cat", 2)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"after": "/"}, "invalid_cursor"),
        *(
            ({"after": base64.urlsafe_b64encode(json.dumps(forged).encode()).decode()}, "invalid_cursor")
            for forged in (
                "cat",
                ["2026-11-22", None, None],
                ["labels", ""],
                ["labels", "Cat"],
                ["labels", "x" * 2000],
                ["labels", "\ud800"],
                ["labels", 1],
                ["labels", []],
            )
        ),
        ({"limit": "0"}, "invalid_limit"),
        ({"min_confidence": "-1"}, "invalid_min_confidence"),
    ],
)
def test_wrong_questions_for_labels_say_so(call: Call, cloud: Cloud, query: Any, code: str) -> None:
    answer = call(app.serve, cloud.web(), "GET /labels", query)
    assert (answer.status, answer.code) == (400, code)


def test_a_name_with_a_number_sign_is_no_other_name(call: Call, cloud: Cloud) -> None:
    store(cloud, "sharp.jpg", label("Language", 90.0, Aliases=[{"Name": "C#"}]))
    store(cloud, "c.jpg", label("Letter", 90.0, Aliases=[{"Name": "C"}]))
    assert find(call, cloud, label="c") == ["c.jpg"]
    assert find(call, cloud, label="c#") == ["sharp.jpg"]


def test_labels_go_on_after_a_name_that_is_cut(call: Call, cloud: Cloud) -> None:
    store(cloud, "a.jpg", label("x" * 119 + " tail", 90.0), label("Zebra", 80.0))
    assert [name[-5:] for name, _ in labels(call, cloud, limit="1")] == [" tail", "Zebra"]


def test_a_result_that_was_only_announced_when_the_index_was_made_anew_gets_its_rows(
    call: Call, cloud: Cloud
) -> None:
    """The function is killed between the list of the rows to come and the rows."""
    store(cloud, "a.jpg", CAT)
    table = cloud.index.describe_table(TableName=INDEX_TABLE)["Table"]
    cloud.index.delete_table(TableName=INDEX_TABLE)
    make_index(cloud.index, INDEX_TABLE)
    cloud.now = table["CreationDateTime"] + timedelta(hours=1)
    with killed_before(cloud, 3 if cloud.kind == "table" else 5):
        store(cloud, "a.jpg", label("Dog", 90.0))
    aws = Aws(Place(region="eu-west-1"))
    kept = TableStore(aws, TABLE) if cloud.kind == "table" else BucketStore(aws, RESULTS_BUCKET)
    RowIndex(aws, INDEX_TABLE, kept).fill(lambda _seen: None)
    assert find(call, cloud, label="cat") == ["a.jpg"]


# --- against a full scan ----------------------------------------------------------------------------

NAMES = ("Cat", "Dog", "Sofa", "Animal", "Car", "Sea")


class Killed(BaseException):
    """The function is stopped: nothing in it can catch that."""


@contextmanager
def killed_before(cloud: Cloud, call: int) -> Iterator[None]:
    """The function ends before its so-many-th call to the results or to the index; 0: it does not."""
    left = itertools.count(call, -1)

    def before(**_context: Any) -> None:
        if call and next(left) == 1:
            raise Killed

    for client in (cloud.results_client, cloud.index):
        client.meta.events.register_first("before-call", before, unique_id="kill")
    try:
        yield
    except Killed:
        pass
    finally:
        for client in (cloud.results_client, cloud.index):
            client.meta.events.unregister("before-call", unique_id="kill")


@pytest.mark.loops
@pytest.mark.timeout(3_600)  # all seeds: a minute of a core
def test_what_is_found_is_what_a_full_scan_finds(call: Call, cloud: Cloud) -> None:
    """50 random analyses, analyses again and removals, a third of them killed; then random searches.

    All seeds are 1,000 of them on each store. Repaired, the index has the rows of the results and no others,
    and counts their labels.
    """
    seeds = exhaustive.points(20, keep=1)
    for seed in seeds:
        chance = random.Random(seed)
        for _ in range(50):
            key = f"{seed}/{chance.choice('abcd')}{chance.randrange(5)}.jpg"
            with killed_before(cloud, chance.choice((0, 0, chance.randrange(1, 9)))):
                _change(cloud, key, chance)
        results = _full_scan(cloud, seed)
        for _ in range(20):
            _compare(call, cloud, seed, chance, results)
        _compare_lists(call, cloud, seed, chance, results)
    _repair(cloud)
    _compare_rows(cloud, seeds)
    _compare_labels(call, cloud, seeds)


def _change(cloud: Cloud, key: str, chance: random.Random) -> None:
    """A removal, or a result with random labels and words."""
    if chance.random() < 0.15:
        mark: Any = {"objectKey": key, "status": "removed", "sequencer": "1" * 32}
        cloud.result_store.replace(mark, seen=cloud.result_store.read(key))
        return
    found = [
        label(name, round(chance.uniform(50, 100), chance.randrange(4)))
        for name in chance.sample(NAMES, chance.randrange(5))
    ]
    text = [line(chance.choice(("one", "two", "one two")), chance.uniform(50, 100))]
    store(cloud, key, *found, text=text, status=chance.choice(("done", "done", "failed")))


def _stored(cloud: Cloud, seed: int) -> list[Any]:
    """All results there can be."""
    places = itertools.product("abcd", range(5))
    return [item for place, number in places if (item := cloud.stored(f"{seed}/{place}{number}.jpg"))]


def _full_scan(cloud: Cloud, seed: int) -> list[ResultItem]:
    return [item for one in _stored(cloud, seed) if (item := shown(one))]


def _compare(call: Call, cloud: Cloud, seed: int, chance: random.Random, results: list[ResultItem]) -> None:
    names, text = chance.sample(NAMES, chance.randrange(3)), chance.choice(("", "", "one", "one two"))
    any_label, least = chance.random() < 0.4, chance.choice((0.0, 60.0, 75.5))
    query: dict[str, Any] = {"label": names, "name": str(seed), "min_confidence": f"{least}"}
    query |= {"any": "true"} if any_label else {}
    query |= {"text": text} if text else {}
    found = find(call, cloud, chance.choice((1, 3, 100)), **query)
    wanted = set()
    for item in results:
        certain = certainties(item)
        has = [certain.get(label_pk(name), -1.0) >= least for name in names]
        words = [certain.get(text_pk(word), -1.0) >= least for word in text.split()]
        named = name_pk(str(seed)) in certain
        if named and all(words) and (not has or (any(has) if any_label else all(has))):
            wanted.add(item["objectKey"])
    assert len(found) == len(set(found))
    assert set(found) == wanted, query


def _compare_lists(
    call: Call, cloud: Cloud, seed: int, chance: random.Random, results: list[ResultItem]
) -> None:
    """With a label, the list leaves out those without it, and nothing else changes."""
    every = find(call, cloud, prefix=f"{seed}/")
    assert set(every) == {item["objectKey"] for item in results}
    by_key = {item["objectKey"]: certainties(item) for item in results}
    for name in chance.sample(NAMES, 2):
        least = chance.choice((0.0, 60.0, 75.5))
        query = {"prefix": f"{seed}/", "with_label": name, "min_confidence": f"{least}"}
        found = find(call, cloud, chance.choice((5, 100)), **query)
        assert found == [key for key in every if by_key[key].get(label_pk(name), -1.0) >= least], query


def _repair(cloud: Cloud) -> None:
    """`imgpipe up --repair-index`, when no row is so young that its result may still come."""
    aws = Aws(Place(region="eu-west-1"))
    kept = TableStore(aws, TABLE) if cloud.kind == "table" else BucketStore(aws, RESULTS_BUCKET)
    later_ms = milliseconds(iso(cloud.now + timedelta(hours=1)))
    RowIndex(aws, INDEX_TABLE, kept, lambda: later_ms).repair()


def _compare_rows(cloud: Cloud, seeds: Iterable[int]) -> None:
    stored = [item for seed in seeds for item in _stored(cloud, seed) if item["status"] != "removed"]
    keys = [(item["objectKey"], entry) for item in stored for entry in entries(item)]
    assert cloud.rows() == {(*row_of(entry, key), key) for key, entry in keys}


def _compare_labels(call: Call, cloud: Cloud, seeds: Iterable[int]) -> None:
    found = [certainties(item) for seed in seeds for item in _full_scan(cloud, seed)]
    for least in (0, 60, 75.5):
        counts = {name: sum(one.get(label_pk(name), -1) >= least for one in found) for name in sorted(NAMES)}
        wanted = [(name, count) for name, count in counts.items() if count]
        assert labels(call, cloud, min_confidence=f"{least}") == wanted


def test_a_late_writer_beside_a_late_removal_shows_nothing_wrong_and_repair_makes_it_right(
    call: Call, cloud: Cloud
) -> None:
    """Rows are written without a condition, so one can be lost, and one left over; results cannot."""
    store(cloud, "a.jpg", label("Cat", 90.0))
    removals: list[dict[str, Any]] = []

    def is_late(params: dict[str, Any], **_context: Any) -> None:
        removal = json.loads(params["body"])
        if removal["Key"]["pk"]["S"] == "label#cat":
            removals.append(removal)
            raise ReadTimeoutError(endpoint_url="https://example.com")

    def meanwhile(**_context: Any) -> None:
        events.unregister("before-call.dynamodb.BatchWriteItem", meanwhile)
        cloud.now += timedelta(seconds=1)
        events.register("before-call.dynamodb.DeleteItem", is_late)
        mark: Any = {"objectKey": "a.jpg", "status": "removed", "sequencer": "1" * 32}
        with pytest.raises(TryAgain):  # for the row that is left
            cloud.result_store.replace(mark, seen=cloud.result_store.read("a.jpg"))
        events.unregister("before-call.dynamodb.DeleteItem", is_late)
        cloud.now += timedelta(seconds=1)
        store(cloud, "a.jpg", label("Cat", 90.0), label("Sofa", 80.0), sequencer="3" * 32)

    events = cloud.index.meta.events
    events.register("before-call.dynamodb.BatchWriteItem", meanwhile)
    with pytest.raises(AssertionError):  # refused, since a newer result is stored; its rows are written
        store(cloud, "a.jpg", label("Cat", 90.0), label("Dog", 80.0), sequencer="2" * 32)
    (removal,) = removals
    cloud.index.delete_item(**removal)

    assert ("label#dog", "a.jpg") in {(pk, key) for pk, _, key in cloud.rows()}
    assert [find(call, cloud, label=name) for name in ("dog", "cat", "sofa")] == [[], [], ["a.jpg"]]
    aws = RecordingAws()
    results: Any = TableStore(aws, TABLE) if cloud.kind == "table" else BucketStore(aws, RESULTS_BUCKET)
    later_ms = milliseconds(iso(cloud.now + timedelta(hours=1)))
    added, removed = RowIndex(aws, INDEX_TABLE, results, lambda: later_ms).repair()
    assert added and removed
    assert [find(call, cloud, label=name) for name in ("dog", "cat", "sofa")] == [[], ["a.jpg"], ["a.jpg"]]
    assert "label#dog" not in {pk for pk, _, _ in cloud.rows()}

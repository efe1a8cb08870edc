"""Tar shards: written byte for byte, read as a folder is, from a disk or over http, and no less."""

import json
import os
import shutil
import signal
import tarfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src import cli
from src.datamodules import shard_set, shard_writer
from src.datamodules.batch import SampleKey
from src.datamodules.image_mask_folder import FolderDataModule, ImageMaskDataset
from src.datamodules.pairs import DataError
from src.datamodules.samplers import TrainSampler, Windows
from src.datamodules.shard_index import ShardError, ShardIndex, key_of, parse_index
from src.datamodules.shard_set import ShardCache, ShardSet
from src.datamodules.sources import TarShards
from src.errors import CommandError, UserError
from tests.conftest import RunCommand
from tests.datamodules.miniatures import write_pair, write_set
from tests.datamodules.test_image_mask_folder import build, config
from tests.file_servers import FolderServer, folder_server
from tests.in_process import finish
from tests.running import TINY, last_weights, start

COUNT, PER_SHARD = 13, 4
SHARDS = [f"train-{number:06d}.tar" for number in range(4)]


def shard(source: Path, output: Path, *words: str) -> int:
    """What `finecut data shard` answers."""
    given = ["data=folder", f"data.root={source}", f"data.cache_dir={source}/cache"]
    return cli.main(["data", "shard", *given, f"output={output}", *words])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 13 pairs, one of them below a folder and with a dot in its name."""
    folder = tmp_path_factory.mktemp("source")
    write_set(folder / "images", folder / "masks", COUNT - 1)
    write_pair(folder / "images" / "cats", folder / "masks" / "cats", "__a.b%", 99, ".png")
    return folder


@pytest.fixture(scope="module")
def written(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as four shards."""
    output = tmp_path_factory.mktemp("written") / "shards"
    assert shard(source, output, f"per_shard={PER_SHARD}") == 0
    return output


@pytest.fixture
def shards(written: Path, tmp_path: Path) -> Path:
    """A copy of the shards, to be damaged."""
    return Path(shutil.copytree(written, tmp_path / "copy"))


@pytest.fixture
def server(shards: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FolderServer]:
    """A server of that copy; what is tried again is tried at once."""
    monkeypatch.setattr(shard_set, "_WAITS", (0.0, 0.0))
    with folder_server(shards) as running:
        yield running


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def of_folder(source: Path, *overrides: str) -> FolderDataModule:
    places = [f"data.root={source}", f"data.cache_dir={source}/cache", "model.batch_size=2"]
    return set_up("data=folder", *places, *overrides)


def of_shards(place: str | Path, cache: Path, *overrides: str) -> FolderDataModule:
    places = [f"data.train.shards={place}", f"data.cache_dir={cache}", "model.batch_size=2"]
    return set_up("data=shards", *places, *overrides)


def set_up(*overrides: str) -> FolderDataModule:
    data = build(config(*overrides))
    data.setup("fit")
    return data


def epoch_of(data: FolderDataModule, epoch: int = 0) -> list[dict[str, Any]]:
    loader = data.train_dataloader()
    loader.order.set_epoch(epoch)
    return list(loader)


def require_equal(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    assert len(one) == len(other) > 0
    for ours, theirs in zip(one, other, strict=True):
        assert ours["name"] == theirs["name"]
        assert all(torch.equal(ours[key], theirs[key]) for key in ("image", "mask", "index"))


# Writing.


def test_shards_hold_the_files_byte_for_byte(source: Path, written: Path) -> None:
    assert names_in(written) == ["index.json", *SHARDS]
    index = parse_index((written / "index.json").read_bytes(), "index")
    assert [one.count for one in index.shards] == [4, 4, 4, 1]
    found: dict[str, bytes] = {}
    for one in index.shards:
        assert (written / one.file).stat().st_size == one.size
        with tarfile.open(written / one.file) as tar:
            found |= {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    files = {}
    for image in (source / "images").rglob("*.*"):
        name = image.relative_to(source / "images").with_suffix("").as_posix()
        files[f"{key_of(name)}{image.suffix}"] = image.read_bytes()
        files[f"{key_of(name)}.mask.png"] = (source / "masks" / f"{name}.png").read_bytes()
    assert found == files


def test_webdatasets_own_reader_reads_them(source: Path, written: Path) -> None:
    import webdataset

    urls = [str(written / name) for name in SHARDS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # files that it leaves open
        samples = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert len({sample["__key__"] for sample in samples}) == COUNT
    first = next(sample for sample in samples if sample["__key__"] == "img_003")
    assert first["jpg"] == (source / "images/img_003.jpg").read_bytes()
    assert first["mask.png"] == (source / "masks/img_003.png").read_bytes()


def test_the_same_files_give_the_same_shards(source: Path, written: Path, tmp_path: Path) -> None:
    assert shard(source, tmp_path / "again", f"per_shard={PER_SHARD}") == 0
    for name in ["index.json", *SHARDS]:
        assert (tmp_path / "again" / name).read_bytes() == (written / name).read_bytes()


def test_a_shard_ends_where_it_is_full(source: Path, tmp_path: Path) -> None:
    assert shard(source, tmp_path / "small", "shard_mb=0.01") == 0
    index = parse_index((tmp_path / "small/index.json").read_bytes(), "index")
    assert len(index.shards) > 4
    # A tar is filled up to 10 kB by its writer.
    assert all(one.size <= 20_480 for one in index.shards)
    assert sum(one.count for one in index.shards) == COUNT


def test_an_interrupted_call_goes_on_where_it_stopped(
    source: Path, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, output = shard_writer._write_shard, tmp_path / "shards"
    done: list[str] = []
    most = 2

    def write_some(path: Path, *given: Any) -> Any:
        if len(done) == most:
            raise KeyboardInterrupt
        done.append(path.name)
        return write(path, *given)

    monkeypatch.setattr(shard_writer, "_write_shard", write_some)
    with pytest.raises(KeyboardInterrupt):
        shard(source, output, f"per_shard={PER_SHARD}")
    assert not (output / "index.json").exists()
    (output / SHARDS[0]).write_bytes(b"cut")  # by a disk, not by us

    done.clear()
    most = len(SHARDS)
    assert shard(source, output, f"per_shard={PER_SHARD}") == 0
    assert done == [SHARDS[0], *SHARDS[2:]]
    assert names_in(output) == ["index.json", *SHARDS]
    assert (output / "index.json").read_bytes() == (written / "index.json").read_bytes()


def test_finished_shards_are_left_as_they_are(
    source: Path, shards: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_writer, "_write_shard", None)
    assert shard(source, shards, f"per_shard={PER_SHARD}") == 0
    assert "13 samples in 4 shards" in capsys.readouterr().out
    assert shard(source, shards, "per_shard=5") == 1
    assert "holds other shards; choose another output=" in capsys.readouterr().err
    later = time.time() + 60
    os.utime(source / "masks/img_001.png", (later, later))
    assert shard(source, shards, f"per_shard={PER_SHARD}") == 1
    assert "masks/img_001.png changed after" in capsys.readouterr().err


def test_a_folder_with_something_else_is_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.tar").write_bytes(b"mine")
    assert shard(source, tmp_path) == 1
    assert "holds mine.tar, no shard of these" in capsys.readouterr().err
    assert names_in(tmp_path) == ["mine.tar"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data=objects"], "only those are sharded"),
        (["data=synthetic"], "only those are sharded"),
        (["data=folder", "split=val"], "names no such set; set data.val"),
        (["data=folder", "split=X"], "the sets of this data are train, val"),
        (["data=shards", "data.train.shards=here"], "this set is in shards already"),
        (["data=folder", "shard_mb=0"], "shard_mb=0: give a number above 0"),
        ([], "data= is missing"),
    ],
)
def test_what_cannot_be_sharded_is_one_line(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["data", "shard", *words, f"output={tmp_path}/out"]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_faulty_files_are_found_before_anything_is_written(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("images", "masks"):
        shutil.copytree(source / kind, tmp_path / kind)
    (tmp_path / "masks/img_002.png").write_bytes(b"")
    assert shard(tmp_path, tmp_path / "out") == 1
    assert "img_002.png: empty file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert shard(tmp_path, tmp_path / "out", "data.on_error=skip") == 0
    assert "12 samples" in capsys.readouterr().out


# Reading.


def test_training_from_shards_is_training_from_their_folder(
    source: Path, written: Path, tmp_path: Path
) -> None:
    ours, theirs = of_shards(written, tmp_path), of_folder(source)
    assert ours.fingerprint() == theirs.fingerprint()
    for epoch in (0, 1):
        require_equal(epoch_of(ours, epoch), epoch_of(theirs, epoch))
    (one,), (other,) = ours.val_dataloader(), theirs.val_dataloader()
    for sample, like in zip(one, other, strict=True):
        assert sample["name"] == like["name"]
        assert torch.equal(sample["image"], like["image"])
        assert torch.equal(sample["mask_full"][0], like["mask_full"][0])


def test_results_call_images_as_those_of_the_folder(source: Path, written: Path) -> None:
    words = [f"+data.test.X.shards={written}", f"data.cache_dir={source}/cache"]
    data = build(config("data=shards", *words))
    data.setup("test")
    assert data.image_names("X")[0] == "cats/__a.b%"
    assert data.image_names("X")[1:] == [f"img_{i:03d}" for i in range(COUNT - 1)]


def test_validation_and_test_may_be_folders(source: Path, written: Path, tmp_path: Path) -> None:
    folders = [
        f"data.{use}.{k}={source}/{k}" for use in ("val", "test") for k in ("images", "masks")
    ]
    data = of_shards(written, tmp_path, *folders)
    assert len(data.train_set) == len(data.val_set) == COUNT  # type: ignore[arg-type]
    assert data.test_names == ["test"]
    assert set(data.files()["train"]) == {"index 1 of shards"}
    assert len(data.files()["val"]) == 2 * COUNT


def test_reduced_decoding_and_sizes_of_batches_are_those_of_files(
    source: Path, written: Path, tmp_path: Path
) -> None:
    words = ["data.reduced_decode=true", "data.val_fraction=0"]
    ours, theirs = of_shards(written, tmp_path, *words), of_folder(source, *words)
    assert isinstance(ours.train_set, ImageMaskDataset)
    assert isinstance(theirs.train_set, ImageMaskDataset)
    for size in (None, (64, 96)):
        draw = SampleKey(3, 1, size)
        require_equal([_batch(ours.train_set[draw])], [_batch(theirs.train_set[draw])])


def _batch(sample: dict[str, Any]) -> dict[str, Any]:
    return {**sample, "index": torch.tensor(sample["index"])}


WINDOWS = Windows([np.arange(0, 7), np.arange(7, 9), np.arange(9, 20), np.arange(20, 23)], 2)


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_a_window_at_a_time_gives_each_sample_once_to_one_process(
    world: int, drop_last: bool
) -> None:
    """The uneven end is the folder's: dropped, or the first of the epoch drawn again."""
    for epoch in (0, 1):
        drawn = []
        for rank in range(world):
            sampler = TrainSampler(23, 7, rank, world, drop_last, windows=WINDOWS)
            sampler.set_epoch(epoch)
            drawn.append([draw.item for draw in sampler])
        assert len({len(part) for part in drawn}) == 1
        joined = [item for step in zip(*drawn, strict=True) for item in step]
        order = WINDOWS.order(7, epoch).tolist()
        assert sorted(order) == list(range(23))
        if drop_last:
            assert joined == order[: 23 // world * world]
        else:
            assert joined == [*order, *order][: -(-23 // world) * world]


def test_windows_follow_seed_and_epoch_and_no_other_shards_are_in_them() -> None:
    orders = {(seed, epoch): WINDOWS.order(seed, epoch) for seed in (1, 2) for epoch in (0, 1)}
    assert len({tuple(order) for order in orders.values()}) == 4
    for (seed, epoch), order in orders.items():
        for window in WINDOWS.shards_in_order(seed, epoch):
            items = np.concatenate([WINDOWS.items[number] for number in window])
            assert set(order[: len(items)]) == set(items)
            order = order[len(items) :]


def test_workers_and_a_resume_change_no_batch(written: Path, tmp_path: Path) -> None:
    words = ["data.shuffle_window=2", "data.val_fraction=0", "data.drop_last=false"]
    data = of_shards(written, tmp_path, *words)
    whole = epoch_of(data, epoch=3)
    data.num_workers = 2
    loader = data.train_dataloader()
    loader.order.set_epoch(3)
    batches = iter(loader)
    require_equal([next(batches), next(batches)], whole[:2])
    state = loader.state_dict()
    del batches

    data = of_shards(written, tmp_path, *words)
    resumed = data.train_dataloader()
    resumed.load_state_dict(state)
    resumed.order.set_epoch(3)
    require_equal(list(resumed), whole[2:])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data.cache=disk"], "data.cache=disk keeps resized samples of files"),
        (
            ["data.shuffle_window=2", "data.sampling_weights={train: 1}"],
            "data.sampling_weights draws from the whole set",
        ),
    ],
)
def test_what_makes_no_sense_with_shards_is_refused(
    words: list[str], said: str, written: Path, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match=said):
        of_shards(written, tmp_path, *words)


def test_a_window_and_images_of_other_data_exclude_each_other(
    source: Path, written: Path, tmp_path: Path
) -> None:
    data = of_shards(written, tmp_path, "data.shuffle_window=2")
    with pytest.raises(CommandError, match=r"finetune\.replay mixes images of all of both sets"):
        data.add_base(of_folder(source), share=0.5)
    of_shards(written, tmp_path).add_base(of_folder(source), share=0.5)


def test_a_window_is_of_shards_alone(source: Path) -> None:
    with pytest.raises(CommandError, match=r"data\.train is not all of shards"):
        of_folder(source, "data.shuffle_window=2")


def test_masks_are_read_by_the_rule_they_were_written_by(source: Path, tmp_path: Path) -> None:
    words = ["data.soft=true", "data.allow_empty=true"]
    assert shard(source, tmp_path / "out", *words) == 0
    with pytest.raises(DataError, match=r"mattes; set data\.soft=true(.|\n)*allow_empty=true"):
        of_shards(tmp_path / "out", tmp_path)
    of_shards(tmp_path / "out", tmp_path, *words)


# What is wrong with shards.


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 4])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[600] ^= 1  # within the first image
    path.write_bytes(content)


def test_a_shard_that_is_missing_or_cut_is_named_at_the_start(shards: Path, tmp_path: Path) -> None:
    cut(shards / SHARDS[1])
    (shards / SHARDS[2]).unlink()
    for words in ([], ["data.on_error=skip"]):
        with pytest.raises(DataError) as caught:
            of_shards(shards, tmp_path, *words)
        assert "2 problems" in str(caught.value)
        assert f"{SHARDS[1]} has 19480 bytes, and 20480 by the index" in str(caught.value)
        assert f"{SHARDS[2]} is missing" in str(caught.value)


@pytest.mark.parametrize("change", [flipped, halved, Path.unlink])
def test_a_shard_that_changes_while_it_is_trained_on_is_named_and_never_skipped(
    shards: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    data = of_shards(shards, tmp_path, "data.on_error=skip", "data.val_fraction=0")
    for name in SHARDS:
        change(shards / name)
    with pytest.raises(ShardError, match=r"copy/train-00000\d\.tar: .*Copy this shard again"):
        epoch_of(data)


def other_count(index: dict[str, Any]) -> None:
    index["shards"][1]["count"] = 3


def other_total(index: dict[str, Any]) -> None:
    index["count"] = 14


def outside(index: dict[str, Any]) -> None:
    index["shards"][0]["file"] = "../train-000000.tar"


def overlapping(index: dict[str, Any]) -> None:
    index["shards"][0]["samples"][1][3][1] = 512


def beyond(index: dict[str, Any]) -> None:
    index["shards"][3]["size"] = 512


def climbing(index: dict[str, Any]) -> None:
    index["shards"][0]["samples"][0][0] = "../../etc/passwd"


def twice(index: dict[str, Any]) -> None:
    index["shards"][0]["samples"][0][1] = index["shards"][0]["samples"][1][1]


def strange(index: dict[str, Any]) -> None:
    index["format"] = "another"


FAULTS = {
    other_count: r"says that train-000001\.tar has 3 samples and lists 4",
    other_total: "says that there are 14 samples and lists 13",
    outside: r"'\.\./train-000000\.tar' is no name of a shard",
    overlapping: r"train-000000\.tar: the files of .* overlap others",
    beyond: r"train-000003\.tar is said to have 512 bytes",
    climbing: "'../../etc/passwd' is no name of an image",
    twice: "the places of its samples",
    strange: r"is no index of shards, or damaged \(format:",
}


@pytest.mark.parametrize("change", FAULTS, ids=lambda change: change.__name__)
def test_an_index_that_contradicts_itself_is_one_line(
    shards: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    path = shards / "index.json"
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))
    with pytest.raises(ShardError, match=FAULTS[change]) as caught:
        ShardSet(shards)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\0", b"[" * 100_000])
def test_a_file_that_is_no_index_is_one_line(content: bytes) -> None:
    with pytest.raises(ShardError, match="is no index of shards, or damaged"):
        parse_index(content, "here/index.json")


def test_a_folder_without_an_index_says_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no shards of finecut; finecut data shard writes"):
        of_shards(tmp_path, tmp_path / "cache")


def test_an_index_survives_its_file(written: Path) -> None:
    index = parse_index((written / "index.json").read_bytes(), "index")
    assert isinstance(index, ShardIndex)
    index.write(written.parent / "again.json")
    assert (written.parent / "again.json").read_bytes() == (written / "index.json").read_bytes()


def test_a_root_may_be_a_url() -> None:
    assert TarShards("train").place("http://host/sets/") == "http://host/sets/train"
    assert TarShards("https://a/b").place("/sets") == "https://a/b"
    assert TarShards("train").place("/sets") == "/sets/train"
    assert TarShards("/train").place(None) == "/train"


# Over http.


def test_training_over_http_is_training_from_the_disk(
    server: FolderServer, shards: Path, tmp_path: Path
) -> None:
    ours = of_shards(server.root, tmp_path / "there")
    theirs = of_shards(shards, tmp_path / "here")
    require_equal(epoch_of(ours, 1), epoch_of(theirs, 1))
    # Each shard came once, in one piece, and the index.
    assert sorted(server.paths) == ["index.json", *SHARDS]
    assert set(server.asked) == {None}
    assert ours.fingerprint() == theirs.fingerprint()
    index = ours.files()["train"]["index 1 of shards"]
    assert index.read_bytes() == (shards / "index.json").read_bytes()
    ours = of_shards(server.root, tmp_path / "there")
    epoch_of(ours, 2)
    assert sorted(server.paths) == ["index.json", "index.json", *SHARDS]  # the rest is kept


def test_windows_need_room_for_two_of_them(server: FolderServer, tmp_path: Path) -> None:
    words = ["data.shard_cache_gb=0.000045", "data.val_fraction=0", "data.drop_last=false"]
    with pytest.raises(CommandError, match=r"=null and .* set data\.shuffle_window=1 or less"):
        of_shards(server.root, tmp_path, *words)
    with pytest.raises(CommandError, match="or write smaller shards"):
        of_shards(server.root, tmp_path, "data.shard_cache_gb=0.00003", *words[1:])
    data = of_shards(server.root, tmp_path, "data.shuffle_window=1", *words)
    for epoch in (0, 1):
        names = [name for batch in epoch_of(data, epoch) for name in batch["name"]]
        assert len(names) == len(set(names)) == COUNT
        kept = list((tmp_path / "shards").glob("*.tar"))
        assert sum(path.stat().st_size for path in kept) <= 45_000
    loaded = epoch_of(data, 0)
    data.num_workers = 2
    require_equal(epoch_of(data, 0), loaded)


def test_the_window_to_come_is_fetched_ahead(server: FolderServer, tmp_path: Path) -> None:
    data = of_shards(server.root, tmp_path, "data.shuffle_window=1", "data.val_fraction=0")
    dataset = data.train_set
    assert isinstance(dataset, ImageMaskDataset)
    assert dataset.ahead is not None
    windows = data.train_windows()
    assert windows is not None
    order = [int(number[0]) for number in windows.shards_in_order(data.seed, 0)]
    dataset[SampleKey(int(windows.items[order[0]][0]), epoch=0)]
    thread = dataset.ahead._thread
    assert thread is not None
    thread.join()
    index = parse_index((server.folder / "index.json").read_bytes(), "index")
    fetched = {index.shards[number].file for number in order[:2]}
    assert set(server.paths) - {"index.json"} == fetched
    assert server.paths.count(index.shards[order[0]].file) == 1


def test_what_was_wanted_last_makes_room_last(written: Path, tmp_path: Path) -> None:
    index = parse_index((written / "index.json").read_bytes(), "index")
    cache = ShardCache(tmp_path, limit=45_000)
    first, second, third = index.shards[:3]
    for age, one in enumerate((first, second)):
        path = tmp_path / f"{one.sha256[:32]}.tar"
        shutil.copy(written / one.file, path)
        os.utime(path, (age + 1, age + 1))
    cache.mark(first)
    cache._make_room(third.size, tmp_path / "third.tar")
    assert [path.name[:32] for path in tmp_path.glob("*.tar")] == [first.sha256[:32]]


def test_a_transfer_that_breaks_is_taken_up_again(server: FolderServer, tmp_path: Path) -> None:
    data = of_shards(server.root, tmp_path)
    server.breaks = 2
    server.asked.clear()
    assert epoch_of(data)
    assert server.breaks == 0
    assert len(server.asked) == len(SHARDS) + 2


def test_a_server_that_restarts_is_asked_again(
    server: FolderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = of_shards(server.root, tmp_path)
    server.status = 503

    def back(_: float) -> None:
        server.status = None

    monkeypatch.setattr(shard_set.time, "sleep", back)
    assert epoch_of(data)


def test_a_shard_that_is_missing_or_cut_on_a_server_is_named_at_the_start(
    server: FolderServer, shards: Path, tmp_path: Path
) -> None:
    cut(shards / SHARDS[1])
    (shards / SHARDS[2]).unlink()
    with pytest.raises(DataError) as caught:
        of_shards(server.root, tmp_path, "data.on_error=skip")
    assert f"{server.root}/{SHARDS[1]} has 19480 bytes, and 20480 by the index" in str(caught.value)
    assert f"{server.root}/{SHARDS[2]}: 404" in str(caught.value)
    assert not (tmp_path / "shards").exists()


def test_another_shard_of_the_same_size_is_named_when_it_comes(
    server: FolderServer, shards: Path, tmp_path: Path
) -> None:
    flipped(shards / SHARDS[0])
    data = of_shards(server.root, tmp_path, "data.on_error=skip", "data.val_fraction=0")
    with pytest.raises(ShardError, match=rf"{SHARDS[0]}: what came does not have the sha256"):
        epoch_of(data)
    assert not list((tmp_path / "shards").glob("*.tar.parts/*"))


def test_a_kept_shard_that_the_disk_damaged_is_fetched_again(
    server: FolderServer, tmp_path: Path
) -> None:
    data = of_shards(server.root, tmp_path)
    whole = epoch_of(data)
    for path in (tmp_path / "shards").glob("*.tar"):
        flipped(path)
    require_equal(epoch_of(data), whole)


def test_no_server_and_no_index_are_one_line(
    server: FolderServer, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shards / "index.json").unlink()
    with pytest.raises(DataError, match=r"404 .*: no index of shards is there"):
        of_shards(server.root, tmp_path)
    monkeypatch.setenv("FINECUT_OFFLINE", "1")
    with pytest.raises(DataError, match="FINECUT_OFFLINE is set"):
        of_shards(server.root, tmp_path)


def test_a_disk_without_room_for_the_cache_is_said_first(
    server: FolderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_set.shutil, "disk_usage", lambda _: type("", (), {"free": 100})())
    with pytest.raises(UserError, match=r"shards take up to .* lower data\.shard_cache_gb"):
        of_shards(server.root, tmp_path)


# Commands.


def test_check_reads_shards(written: Path, tmp_path: Path, run_command: RunCommand) -> None:
    words = ["data=shards", f"data.train.shards={written}", f"output={tmp_path}/report"]
    said = run_command("-m", "src", "check", *words)
    assert "train: 13 sound pairs" in said
    assert (tmp_path / "report/train.png").is_file()


@pytest.mark.slow
def test_a_run_over_http_that_is_killed_continues_to_the_weights_of_a_run_on_the_folder(
    source: Path, server: FolderServer, tmp_path: Path
) -> None:
    """Killed in mid-epoch; the unbroken run reads files, so that all three sources are compared."""
    common = [*TINY, "model.epochs=3", "callbacks.recent.steps=1", "callbacks.recent.keep=20"]
    common += ["callbacks.gallery=null", "data.val_fraction=0.2", "test=false"]
    finish(["train.py", *common, "data=folder", f"data.root={source}", "name=whole"], tmp_path)

    words = ["data=shards", f"data.train.shards={server.root}", f"data.cache_dir={tmp_path}/cache"]
    process = start("train.py", [*common, *words, "name=killed", "data.num_workers=1"], tmp_path)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "logs/killed").glob("*/checkpoints/recent-*3.ckpt")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=120)
    (killed,) = (tmp_path / "logs/killed").iterdir()
    finish(["train.py", f"resume={killed}"], tmp_path)

    (whole,) = (tmp_path / "logs/whole").iterdir()
    ours, theirs = last_weights(killed), last_weights(whole)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)

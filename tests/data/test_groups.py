"""Pictures that belong together stay together: found, asked for, and never found where they are not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glyphnet.data import ImageDataset, Splits, assemble, load
from glyphnet.data.groups import joined, number_keys, parse_group_by
from glyphnet.data.split import group_folds, hold_out_groups
from glyphnet.errors import DataError, SettingsError


def write(root: Path, pictures: Iterable[tuple[str, np.ndarray]]) -> Path:
    for name, pixels in pictures:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / name)
    return root


def noise(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (12, 12), dtype=np.uint8)


def frames(rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Pictures of one thing: a smooth scene and a little noise."""
    scene = np.asarray(Image.fromarray(rng.integers(0, 256, (3, 3), dtype=np.uint8)).resize((12, 12)), dtype=float)
    return [np.clip(scene + rng.normal(0, 6, scene.shape), 0, 255).astype(np.uint8) for _ in range(count)]


def tracks(root: Path, *, classes: int = 3, count: int = 8, length: int = 6, below: str = "") -> Path:
    """Named as the German traffic signs: class/track_frame."""
    rng = np.random.default_rng(0)
    return write(
        root,
        (
            (f"{below}{label:05d}/{track:05d}_{number:05d}.png", picture)
            for label in range(classes)
            for track in range(count)
            for number, picture in enumerate(frames(rng, length))
        ),
    )


def kept_together(splits: Splits, pattern: str) -> set[str]:
    """The groups that the pattern finds in the names; none may be in two parts."""
    of_part = {name: {match[1] for each in part.names if (match := re.search(pattern, each))} for name, part in splits}
    for a, b in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not of_part[a] & of_part[b], f"in {a} and {b}"
    return set().union(*of_part.values())


def note_on_groups(splits: Splits) -> str:
    return next((note for note in splits.notes if "group" in note), "")


def test_tracks_are_found_by_their_names_and_stay_together(tmp_path: Path) -> None:
    splits = load(tracks(tmp_path))
    assert len(kept_together(splits, r"(\d+/\d+)_")) == 24
    assert splits.group_by == "prefix"
    assert "24 groups" in note_on_groups(splits)
    assert "00000/00000_00000.png and 00000/00000_00001.png" in note_on_groups(splits)
    assert "--group-by none" in note_on_groups(splits)
    assert all((part.counts > 0).all() for _, part in splits), "every class is in every part"
    again = load(tmp_path, group_by=splits.group_by)
    assert again.train.fingerprint == splits.train.fingerprint, "what the recipe writes divides alike"
    at_random = load(tmp_path, group_by="none")
    assert at_random.train.groups is None
    assert at_random.group_by == "none"
    assert not note_on_groups(at_random)


def test_persons_are_the_same_in_all_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = (
        f"{label}/person{person:02d}_day{day}_{number:03d}.png"
        for label in ("a", "b")
        for person in range(8)
        for day in range(2)
        for number in range(3)
    )
    splits = load(write(tmp_path, ((name, noise(rng)) for name in names)))
    assert len(kept_together(splits, r"(person\d+)")) == 8


def test_slides_in_sub_folders(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = (f"{label}/slide{slide}/{n:03d}.png" for label in ("x", "y") for slide in range(6) for n in range(5))
    splits = load(write(tmp_path, ((name, noise(rng)) for name in names)))
    assert splits.group_by == "folder"
    assert len(kept_together(splits, r"(slide\d)")) == 6


@pytest.mark.parametrize(
    "named",
    [
        lambda label, n, rng: f"{n:04d}",
        lambda label, n, rng: f"{label}_{n:04d}",
        lambda label, n, rng: f"IMG_{n:04d}",
        lambda label, n, rng: f"{rng.integers(10**9)}_{rng.bytes(5).hex()}_n",
        lambda label, n, rng: f"{rng.bytes(4).hex()}-{rng.bytes(2).hex()}-{n % 10}",
        lambda label, n, rng: f"{label}_{'new_' if n % 10 == 0 else ''}{n:03d}",
        lambda label, n, rng: f"{label}_{'usps' if n % 2 else 'scan'}_{n:03d}",
        lambda label, n, rng: f"Screenshot_2021-{1 + n // 10:02d}-{1 + n % 10:02d}-09-30-{n % 2:02d}",
    ],
    ids=["counter", "class_counter", "camera", "random ids", "hexadecimal", "one large group", "two sources", "times"],
)
def test_names_that_tell_of_no_groups(tmp_path: Path, named) -> None:
    rng = np.random.default_rng(0)
    names = [f"{label}/{named(label, n, rng)}.png" for label in ("cat", "dog") for n in range(60)]
    splits = load(write(tmp_path, ((name, noise(rng)) for name in names)))
    assert splits.train.groups is None
    assert not note_on_groups(splits)


@pytest.mark.parametrize(
    "folder",
    [lambda n: f"{100 + n // 10}CANON", lambda n: f"{10 * (n % 12) + 3:02x}", lambda n: f"part{n // 101}"],
    ids=["camera", "hash", "full folders"],
)
def test_folders_that_only_spread_files_are_no_groups(tmp_path: Path, folder) -> None:
    rng = np.random.default_rng(0)
    count = 404 if folder(0) == "part0" else 60
    names = [f"{label}/{folder(n)}/{n:04d}.png" for label in ("cat", "dog") for n in range(count)]
    splits = load(write(tmp_path, ((name, noise(rng)) for name in names)), layout="class")
    assert splits.train.groups is None


def test_kinds_in_sub_folders_are_no_groups_unless_their_pictures_are_alike(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    breeds = {"cat": ("siamese", "persian", "birman"), "dog": ("poodle", "beagle", "collie")}
    kinds = [f"{label}/{breed}" for label in breeds for breed in breeds[label]]
    unlike = write(tmp_path / "a", ((f"{kind}/{n}.png", noise(rng)) for kind in kinds for n in range(9)))
    assert load(unlike).train.groups is None
    alike = ((f"{kind}/{n}.png", each) for kind in kinds for n, each in enumerate(frames(rng, 9)))
    assert load(write(tmp_path / "b", alike)).group_by == "folder"


def test_neighbours_that_look_alike(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        pictures = [each for _ in range(15) for each in frames(rng, 4)]
        write(tmp_path, ((f"{label}/{n:04d}.png", picture) for n, picture in enumerate(pictures)))
    splits = load(tmp_path)
    assert splits.group_by == "neighbours"
    numbers = {name: group for _, part in splits for name, group in zip(part.names, part.groups, strict=True)}
    alike = [numbers[f"a/{n:04d}.png"] == numbers[f"a/{n + 1:04d}.png"] for n in range(59)]
    assert np.mean([alike[n] for n in range(59) if n % 4 != 3]) > 0.9
    assert not any(alike[3::4])


def test_a_class_of_pictures_that_are_all_alike_is_no_group(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        write(tmp_path, ((f"{label}/{n:04d}.png", picture) for n, picture in enumerate(frames(rng, 80))))
    assert load(tmp_path).train.groups is None


def test_groups_by_pattern_and_by_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [f"{label}/w{n % 10}x{n}.png" for label in ("a", "b") for n in range(40)]
    root = write(tmp_path / "data", ((name, noise(rng)) for name in names))
    splits = load(root, group_by=r"w(\d)x")
    assert len(kept_together(splits, r"w(\d)x")) == 10
    lines = [f"{name},{name.split('w')[1][0]}" for name in names[:-2]]
    table = tmp_path / "writers.csv"
    table.write_text("\n".join(["file_name,group", *lines]))
    by_table = load(root, group_by=str(table))
    kept_together(by_table, r"(?<!b/)w(\d)x")
    assert "2 of them not named there" in note_on_groups(by_table)


@pytest.mark.parametrize(
    ("group_by", "says"),
    [
        (r"x(\d)", "matches no picture; the first is called '00000/00000_00000.png'"),
        ("patient", "come from no table with columns"),
        ("folder", "no folders inside the class folders"),
        ("burst", "EXIF DateTimeOriginal"),
        ("nowhere.csv", "nowhere.csv: cannot be read"),
    ],
)
def test_groups_that_these_data_do_not_have(tmp_path: Path, group_by: str, says: str) -> None:
    with pytest.raises(DataError, match=re.escape(says)):
        load(tracks(tmp_path, classes=2, count=2), group_by=group_by)


@pytest.mark.parametrize(
    ("text", "says"),
    [(r"(\d)(\d)", "has 2 groups in parentheses"), ("(", "not a regular expression"), ("?", "is not known")],
)
def test_what_is_no_choice_of_groups(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(says)):
        parse_group_by(text)


def test_given_parts_stay_and_groups_across_them_are_told(tmp_path: Path) -> None:
    tracks(tmp_path, below="train/")
    (tmp_path / "test").mkdir()
    for path in sorted((tmp_path / "train").glob("*/00001_0000[45].png")):
        target = tmp_path / "test" / path.parent.name / path.name
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    splits = load(tmp_path)
    assert sorted(splits.test.names) == sorted(f"test/{k:05d}/00001_0000{n}.png" for k in range(3) for n in (4, 5))
    assert any("3 groups have pictures in both train and test" in warning for warning in splits.warnings)
    kept = {name: {n[6:17] for n in part.names} for name, part in splits}
    assert not kept["train"] & kept["validation"]


def test_shares_that_whole_groups_cannot_meet_are_told(tmp_path: Path) -> None:
    splits = load(tracks(tmp_path, classes=2, count=3), test_fraction=0.0)
    assert any("instead of 10%" in warning for warning in splits.warnings)
    assert (splits.train.counts > 0).all()


def test_large_mixed_groups_are_held_out_close_to_the_share_and_no_class_is_lost() -> None:
    rng = np.random.default_rng(0)
    for seed in range(10):
        groups = rng.integers(0, 25, 2000)
        labels = rng.choice(5, 2000, p=[0.5, 0.2, 0.15, 0.1, 0.05])
        labels[groups == 3] = 4
        held = hold_out_groups(labels, groups, 0.2, np.random.default_rng(seed))
        assert not set(groups[held]) & set(groups[~held])
        assert 0.15 < held.mean() < 0.25
        assert (np.bincount(labels[~held], minlength=5) > 0).all()
        for label in range(4):
            assert 0.1 < held[labels == label].mean() < 0.3


def test_a_class_of_one_group_stays_in_training() -> None:
    labels = np.repeat([0, 1], [50, 20])
    groups = np.concatenate([np.arange(50) // 5, np.full(20, 99)])
    held = hold_out_groups(labels, groups, 0.2, np.random.default_rng(0))
    assert held[:50].sum() == 10
    assert not held[50:].any()


def test_folds_keep_groups_and_balance_classes() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 1500)
    labels = (groups % 3).astype(np.int64)
    fold = group_folds(labels, groups, 5, rng)
    assert all(len(set(fold[groups == group])) == 1 for group in range(60))
    for label in range(3):
        assert np.bincount(fold[labels == label], minlength=5).min() > 60
    with pytest.raises(SettingsError, match=r"folds \(=5\) must lie between 2 and the number of groups"):
        group_folds(labels[:4], np.array([0, 0, 1, 1]), 5, rng)


def test_joined_keeps_together_what_either_does() -> None:
    assert joined(np.array([0, 0, 1, 2, 3]), np.array([7, 8, 8, 9, 10])).tolist() == [0, 0, 0, 1, 2]
    assert number_keys(["a", None, "a", None]).tolist() == [0, 1, 0, 2]


def test_subsets_keep_their_groups() -> None:
    data = ImageDataset(
        np.zeros((3, 2, 2, 1), np.uint8), np.zeros(3, np.int64), ("a",), ["x", "y", "z"], groups=np.array([5, 5, 6])
    )
    assert data.subset([2, 0]).groups.tolist() == [6, 5]
    with pytest.raises(DataError, match=re.escape("groups must be int64 of shape (3,)")):
        ImageDataset(data.images, data.labels, data.classes, data.names, groups=np.zeros(2, np.int64))


def test_bursts_by_the_time_in_the_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label, day in (("a", 1), ("b", 2)):
        (tmp_path / label).mkdir()
        for number in range(40):
            exif = Image.Exif()
            time = f"2024:05:0{day} 10:{number // 4 * 5:02d}:{number % 4 * 2:02d}"
            exif.get_ifd(0x8769)[0x9003] = time
            Image.fromarray(noise(rng)).save(tmp_path / label / f"{rng.integers(10**9)}.jpg", exif=exif)
    splits = load(tmp_path)
    assert splits.group_by == "burst"
    assert "20 groups" in note_on_groups(splits)
    assert {len(set(part.groups.tolist())) * 4 for _, part in splits} == {len(part) for _, part in splits}
    assert load(tmp_path, group_by="burst").train.fingerprint == splits.train.fingerprint


def test_bursts_by_the_time_in_the_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [
        f"{label}/IMG_2024050{day}_10{number // 4 * 5:02d}{number % 4 * 2:02d}{form}.png"
        for label, day, form in (("a", 1, ""), ("b", 2, "_123"))
        for number in range(40)
    ]
    splits = load(write(tmp_path, ((name, noise(rng)) for name in names)))
    assert splits.group_by == "burst"
    kept_together(splits, r"(\d{8}_\d{4})")
    assert "20 groups" in note_on_groups(splits)


def test_letters_count_as_numbers_do(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [f"{label}/scan-P{patient:03d}-{view}.png" for label in "uv" for patient in range(15) for view in "abcd"]
    splits = load(write(tmp_path, ((name, noise(rng)) for name in names)))
    assert splits.group_by == "prefix"
    kept_together(splits, r"(P\d+)")


def test_copies_stay_together_when_asked(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        small = rng.integers(0, 256, (30, 6, 6), dtype=np.uint8)
        scenes = [np.asarray(Image.fromarray(each).resize((28, 28), Image.Resampling.BICUBIC)) for each in small]
        pictures = [each for scene in scenes for each in (scene, np.roll(scene, 1, axis=1))]
        order = rng.permutation(len(pictures))
        write(tmp_path, ((f"{label}/{place:04d}.png", pictures[row]) for place, row in enumerate(order)))
    splits = load(tmp_path, group_by="copies")
    numbers = np.concatenate([part.groups for _, part in splits])
    assert len(np.unique(numbers)) == 60
    assert "the same, changed" in note_on_groups(splits)


def test_a_column_of_the_table(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [f"{n}.png" for n in range(60)]
    write(tmp_path, ((name, noise(rng)) for name in names))
    lines = [f"{name},{n % 2},p{n // 5}" for n, name in enumerate(names)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,label,patient", *lines]))
    for group_by in ("column:patient", "patient"):
        splits = load(tmp_path, group_by=group_by)
        assert splits.group_by == "column:patient"
        assert len({number for _, part in splits for number in part.groups.tolist()}) == 12


def test_what_was_found_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second start compares no pictures; other names of the same files are looked at anew."""
    root = tracks(tmp_path / "set")
    first = load(root)
    with monkeypatch.context() as patch:
        patch.setattr(assemble, "make_groups", lambda *_: pytest.fail("groups were looked for again"))
        again = load(root)
    np.testing.assert_array_equal(first.train.groups, again.train.groups)
    assert (first.group_by, first.notes) == (again.group_by, again.notes)
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        path.rename(path.with_name(f"{chr(97 + number % 26) * (1 + number // 26)}.png"))
    assert load(root).group_by != first.group_by

"""The embedding: which images, where they lie, and what pointer and keys show of them."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from glyphnet.evaluation.embedding import (
    affinities,
    embed,
    embedding_sample,
    nearness,
    principal_components,
    squared_distances,
    tsne,
)
from glyphnet.report import page as report_page
from glyphnet.report.embedding import neighbourhoods

PLACE = """([k, layout]) => {
    const values = new Float32Array(Uint8Array.from(
        atob(JSON.parse(document.getElementById("data").textContent).embedding[layout]), (c) => c.charCodeAt(0)
    ).buffer);
    const box = document.getElementById("embedding-plot").getBoundingClientRect();
    const at = (value) => 14 + value * (box.width - 28);
    return [box.left + at(values[2 * k]), box.top + at(values[2 * k + 1])];
}"""


def test_a_sample_has_every_class_and_all_mistakes(make_evaluation):
    judged = make_evaluation(count=3000, skill=5.0)
    rows = embedding_sample(judged, most=500)
    assert len(rows) == 500
    assert (np.diff(rows) > 0).all()
    assert set(np.flatnonzero(~judged.correct)) <= set(rows)
    right = rows[judged.correct[rows]]
    counts = np.bincount(judged.labels[right])
    assert np.ptp(counts) <= 1
    np.testing.assert_array_equal(rows, embedding_sample(judged, most=500))
    np.testing.assert_array_equal(embedding_sample(judged, most=3000), np.arange(3000))


def test_mistakes_take_half_of_the_places_at_most(make_evaluation):
    judged = make_evaluation(count=1000, skill=0.0)
    rows = embedding_sample(judged, most=100)
    assert (~judged.correct[rows][np.isin(rows, judged.top_losses(50))]).all()
    assert np.isin(judged.top_losses(50), rows).all()


def test_three_clouds_lie_apart_in_both_pictures():
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 40)
    features = generator.normal(size=(120, 8)) + 20 * np.eye(8)[labels]
    found = embed(features, np.arange(120))
    for points in (found.pca, found.tsne):
        middles = np.stack([points[labels == label].mean(axis=0) for label in range(3)])
        nearest = np.linalg.norm(points[:, None] - middles, axis=2).argmin(axis=1)
        np.testing.assert_array_equal(nearest, labels)
    assert (labels[found.neighbours] == labels[:, None]).all()
    assert 0.5 < sum(found.explained) <= 1
    np.testing.assert_array_equal(found.tsne, embed(features, np.arange(120)).tsne)


@pytest.mark.parametrize(
    ("features", "kinds"),
    [
        (np.ones((30, 4)), None),
        (np.ones((1, 4)), None),
        (np.arange(5.0)[:, None], {"pca": (5, 2), "tsne": None}),
        (np.arange(40.0)[:, None] ** 2, {"pca": (40, 2), "tsne": (40, 2)}),
        (np.repeat([[0.0, 1.0], [1.0, 0.0]], 10, axis=0), {"pca": (20, 2), "tsne": (20, 2)}),
    ],
    ids=["all alike", "one image", "a few", "one feature", "two points"],
)
def test_odd_features_give_finite_points_or_none(features, kinds):
    found = embed(features, np.arange(len(features)))
    if kinds is None:
        assert found is None
        return
    assert {"pca": found.pca.shape, "tsne": None if found.tsne is None else found.tsne.shape} == kinds
    assert np.isfinite(found.pca).all()
    assert found.tsne is None or np.isfinite(found.tsne).all()


def clouds(count: int, features: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    middles = 3 * generator.normal(size=(6, features))
    return generator.normal(size=(count, features)) + middles[np.arange(count) % 6]


@pytest.mark.parametrize("features", [30, 200], ids=["fewer features than images", "more"])
def test_components_shares_and_neighbours_are_those_of_scikit_learn(features):
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors

    points = clouds(120, features)
    pca = PCA(20, svd_solver="full")
    expected = pca.fit_transform(points)
    found, shares = principal_components(points, 20)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-8)
    np.testing.assert_allclose(shares, pca.explained_variance_ratio_, atol=1e-12)
    nearest = NearestNeighbors(n_neighbors=10).fit(points).kneighbors(return_distance=False)
    np.testing.assert_array_equal(embed(points, np.arange(120)).neighbours, nearest)


def test_t_sne_is_as_good_as_500_iterations_of_scikit_learn():
    from sklearn.manifold import TSNE
    from sklearn.manifold._t_sne import _joint_probabilities

    components, _ = principal_components(clouds(200, 30), 20)
    start = components[:, :2] / components[:, 0].std() * 1e-4
    wanted = affinities(components, 30)
    theirs = _joint_probabilities(squared_distances(components).astype(np.float32), 30, 0)
    np.testing.assert_allclose(wanted[np.triu_indices(200, 1)], theirs, atol=1e-7)

    def divergence(places: np.ndarray) -> float:
        near = np.empty((200, 200), np.float32)
        nearness(places.astype(np.float32), out=near)
        shares = np.maximum(near / near.sum(), 1e-12)
        return float((wanted * np.log(np.maximum(wanted, 1e-12) / shares)).sum())

    arranged = TSNE(2, perplexity=30, init=start.astype(np.float32), max_iter=500, random_state=0)
    assert divergence(tsne(components, perplexity=30, start=start)) <= 1.01 * divergence(
        arranged.fit_transform(components)
    )


def test_neighbourhoods_count_the_classes_around_each_image(make_evaluation):
    judged = make_evaluation(count=30, classes=("a", "b"))
    features = np.where(judged.labels == 0, -1.0, 1.0)[:, None] + np.linspace(0, 0.1, 30)[:, None]
    found = neighbourhoods(judged, embed(features, np.arange(30)))
    assert [each.name for each in found] == ["a", "b"]
    assert [each.count for each in found] == np.bincount(judged.labels).tolist()
    assert all(each.own > 0.8 for each in found)


@pytest.fixture
def page(open_report, digits):
    return open_report(digits.evaluation, classifier=digits.classifier, splits=digits.splits).page


def told(page):
    return page.inner_text("#embedding-told")


def test_the_pointer_shows_the_image_under_it_and_a_click_opens_it(page, digits):
    page.locator("#embedding-plot").scroll_into_view_if_needed()
    page.evaluate("document.getElementById('embedding-plot').scrollIntoView({block: 'center'})")
    page.wait_for_timeout(700)  # milliseconds: the page scrolls smoothly
    k = int(np.flatnonzero(~digits.evaluation.correct)[0])
    x, y = page.evaluate(PLACE, [k, "tsne"])
    page.mouse.move(x, y)
    name = page.get_attribute("#embedding-image", "data-name")
    assert name in told(page)
    pixels = page.evaluate(
        """() => {
            const canvas = document.getElementById("embedding-image");
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return [...data].filter((_, i) => i % 4 === 0);
        }"""
    )
    row = list(digits.evaluation.names).index(name)
    np.testing.assert_array_equal(pixels, digits.evaluation.images[row].ravel())
    page.mouse.click(x, y)
    assert name in page.inner_text("#viewer-about")


def test_the_keyboard_goes_through_the_points_to_the_mistakes_and_opens_one(page, digits):
    page.focus("#embedding-kind input:checked")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "embedding-plot"
    first = page.get_attribute("#embedding-image", "data-name")
    assert first == digits.evaluation.names[0]
    seen = set()
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowRight"):
        page.keyboard.press(key)
        seen.add(page.get_attribute("#embedding-image", "data-name"))
    assert len(seen) >= 2
    page.keyboard.press("Home")
    page.keyboard.press("m")
    row = int(np.flatnonzero(~digits.evaluation.correct)[0])
    if row == 0:
        row = int(np.flatnonzero(~digits.evaluation.correct)[1])
    assert digits.evaluation.names[row] in told(page)
    assert "→" in told(page)
    page.keyboard.press("Enter")
    assert digits.evaluation.names[row] in page.inner_text("#viewer-about")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "embedding-plot"


def test_a_class_can_be_singled_out_and_the_layout_changed(page, digits):
    picture = "document.getElementById('embedding-plot').toDataURL()"
    before = page.evaluate(picture)
    page.click("#embedding-classes button >> nth=3")
    assert page.get_attribute("#embedding-classes button >> nth=3", "aria-pressed") == "true"
    single = page.evaluate(picture)
    assert single != before
    page.focus("#embedding-plot")
    page.keyboard.press("End")
    name = page.get_attribute("#embedding-image", "data-name")
    assert digits.evaluation.labels[list(digits.evaluation.names).index(name)] == 3
    page.click("#embedding-kind >> text=PCA")
    assert page.is_visible("#embedding-hint-pca")
    assert page.evaluate(picture) != single


def test_the_table_says_the_same_in_words(page):
    page.click("#embedding summary")
    rows = page.locator("#embedding table tbody tr")
    assert rows.count() == 10
    assert "%" in rows.first.inner_text()


@pytest.mark.parametrize("count", [10, 12])
def test_hostile_class_names_stay_text_whether_few_or_many(open_report, digits, count):
    classes = tuple(f"<img src=x onerror=alert({k})>" for k in range(count))
    wide = np.pad(digits.evaluation.probabilities, ((0, 0), (0, count - 10)))
    judged = replace(digits.evaluation, classes=classes, probabilities=wide)
    names = ("recipe", "input_shape", "network", "spec", "temperature", "threshold", "features", "summary")
    names = (*names, "foreign_threshold", "prototypes")
    projection_only = SimpleNamespace(**{name: getattr(digits.classifier, name) for name in names})
    seen = report_page.saliency_sheet
    with pytest.MonkeyPatch.context() as patch:
        # Its classes are others than the network's.
        patch.setattr(
            report_page, "saliency_sheet", lambda _, __, sheet: seen(digits.classifier, digits.evaluation, sheet)
        )
        opened = open_report(judged, classifier=projection_only)
    page = opened.page
    page.focus("#embedding-plot")
    page.keyboard.press("m")
    assert "<img src=x onerror=alert(" in told(page)
    rows = page.eval_on_selector_all("#embedding tbody th", "all => all.map(one => one.textContent)")
    assert rows == list(classes[:10])
    assert page.locator("img:not(.sheet)").count() == 0
    assert opened.console == []
    if count > 10:
        page.select_option("#embedding-classes select", "3")
        page.focus("#embedding-plot")
        page.keyboard.press("End")
        assert told(page).startswith(classes[3])
    else:
        assert page.inner_text("#embedding-classes button >> nth=3") == classes[3]


def test_without_a_classifier_there_is_no_embedding(open_report, digits):
    assert open_report(digits.evaluation).page.locator("#embedding").count() == 0

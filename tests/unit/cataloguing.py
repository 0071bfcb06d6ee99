"""What tests of sources have in common: a catalogue of one, and what is left where there is none."""

from engine.datasets.catalog import build_catalog


def catalog(source, tmp_path, **options):
    return build_catalog(source, tmp_path / "target", **options)


def left(tmp_path):
    """What stands beside the target after something was refused."""
    return [p.name for p in tmp_path.iterdir() if "target" in p.name]


def found_in(catalogue):
    """(kind, path) of everything that was noted."""
    staging = catalogue.staging
    return {(kind, path) for number, kind, *_ in staging.findings() for path, _ in staging.finding_files(number)}

"""Colours and style sheets, one concern each."""

"""Tests; those of the laboratory import each other as a package."""

"""The version of EyeNet. pyproject.toml reads it from here."""

VERSION = "0.1.0"

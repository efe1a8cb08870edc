"""Settings: what people may type for each command, as types; everything behind them is typed.

Each command has one schema: a pydantic model that states type, range, choices and meaning of each
key. The yaml files in `conf/` hold the defaults and nothing else. `parse` turns a composed config
into the schema's object or into one line for each wrong key; `--help` and `docs/settings.md` are
written from the same schemas.
"""

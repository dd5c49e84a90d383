//! E03, E04, E05, E20, E21: a pattern means what the documents say.

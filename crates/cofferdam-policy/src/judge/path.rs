//! Paths as callers write them: bytes that no file system was asked about.

/// What is before the last name, the name, and whether a slash is behind it.
#[must_use]
pub fn split(text: &[u8]) -> (&[u8], &[u8], bool) {
    let end = text.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let (path, rest) = text.split_at(end);
    if path.is_empty() {
        return (b"/", b"/", false);
    }
    let start = path.iter().rposition(|byte| *byte == b'/').map_or(0, |last| last + 1);
    let (above, name) = path.split_at(start);
    (above, name, !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_path_is_split_before_its_last_name() {
        for (text, want) in [
            ("a", ("", "a", false)),
            ("a/b", ("a/", "b", false)),
            ("/a", ("/", "a", false)),
            ("/", ("/", "/", false)),
            ("//", ("/", "/", false)),
            ("a//b//", ("a//", "b", true)),
            ("..", ("", "..", false)),
            ("./", ("", ".", true)),
        ] {
            let (above, name, slash) = want;
            assert_eq!(
                split(text.as_bytes()),
                (above.as_bytes(), name.as_bytes(), slash),
                "{text}"
            );
        }
    }
}
